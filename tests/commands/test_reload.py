"""A new configuration reaches a running program: by signal, by file, by request; wholly or not at all."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from compose_agent.errors import ConfigError
from lab.loopback import free_port
from tests.commands.program import Agent, eventually

Start = Callable[..., Agent]
MODES = pytest.mark.parametrize(
    ("arguments", "local"),
    [
        (("run",), "supervisor"),
        (("run", "--one-process"), "supervisor"),
        (("export",), "exporter"),
    ],
    ids=["run", "one-process", "export"],
)
LISTEN = "exporter.web.listen-address: {}\n"


@MODES
def test_a_compose_file_is_watched_like_the_configuration_file(
    arguments: tuple[str, ...], local: str, agent: Start, tmp_path: Path
) -> None:
    compose = tmp_path / "docker-compose.yml"
    compose.write_text("x-compose-agent: {exporter.stale-after: 2m}\n")
    one = agent(*arguments, f"--compose-file={compose}").started()
    one.wait_for_config(1, successful=True)

    compose.write_text("services: {web: {image: web}}\nx-compose-agent:\n  exporter: {stale-after: 3m}\n")
    one.wait_for_config(2, successful=True)

    compose.write_text("x-compose-agent: {exporter: {stale-aftr: 3m}}\n")
    one.wait_for_config(2, successful=False)
    wrong = f"{compose}:1: unknown option 'exporter.stale-aftr', did you mean 'exporter.stale-after'?"
    eventually(lambda: wrong in one.log, "the log does not say why")
    assert one.client(local).ready().revision == 2


@MODES
def test_signal_file_and_request_reload_and_what_is_wrong_changes_nothing(
    arguments: tuple[str, ...], local: str, agent: Start
) -> None:
    one = agent(*arguments).started()
    file = one.folder / "agent.yml"

    one.process.send_signal(signal.SIGHUP)
    eventually(lambda: "configuration applied" in one.log, "no reload")
    one.wait_for_config(1, successful=True)

    file.write_text("exporter.stale-after: 2m\n")
    one.wait_for_config(2, successful=True)

    file.write_text("exporter.stale-after: 3m\n")
    assert one.client(local).reload() == 3
    one.wait_for_config(3, successful=True)

    file.write_text("log.levle: debug\n")
    one.wait_for_config(3, successful=False)
    wrong = f"{file}:1: unknown option 'log.levle', did you mean 'log.level'?"
    eventually(lambda: wrong in one.log, "the log does not say why")
    with pytest.raises(ConfigError) as caught:
        one.client(local).reload()
    assert str(caught.value) == wrong

    (one.folder / "new.yml").write_text("log: {level: error, format: json}\n")
    (one.folder / "new.yml").rename(file)
    one.wait_for_config(4, successful=True)
    assert one.client(local).reload() == 4  # waits for the end of the reload before it, and its last line
    assert one.log.count('msg="configuration refused; the running one stays"') == 1

    before = len(one.log.splitlines())
    file.write_text("log: {level: erorr}\n")
    one.wait_for_config(4, successful=False)
    assert one.end() == 0
    later = one.log.splitlines()[before:]
    assert later
    assert [line for line in later if not ('{"ts": ' in line and '"level": "error"' in line)] == []


@pytest.mark.parametrize("arguments", [("run",), ("run", "--one-process")], ids=" ".join)
def test_a_role_that_refuses_keeps_the_configuration_of_all(arguments: tuple[str, ...], agent: Start) -> None:
    one = agent(*arguments, config=LISTEN.format("127.0.0.1:0")).started()
    before = one.urls()
    port = free_port()
    with closing(socket.create_server(("127.0.0.1", port))):
        (one.folder / "agent.yml").write_text(
            LISTEN.format(f"['127.0.0.1:{free_port()}', '127.0.0.1:{port}']")
        )
        one.wait_for_config(1, successful=False)
        told = f"cannot listen on 127.0.0.1:{port}: the port is in use by"
        eventually(lambda: told in one.log, "the log does not say why")
        assert one.urls() == before
        one.metrics(before[0])
    assert one.client("supervisor").reload() == 2
    assert f"http://127.0.0.1:{port}" in one.urls()
    one.wait_for_config(2, successful=True)


class Scraper:
    """Scrapes one address again and again, and keeps what went wrong."""

    def __init__(self, url: str) -> None:
        self._host = url.removeprefix("http://")
        self.count = 0
        self.errors: list[str] = []

    def scrape(self) -> None:
        try:
            with closing(http.client.HTTPConnection(self._host, timeout=10)) as connection:
                connection.request("GET", "/metrics")
                answer = connection.getresponse()
                if answer.status != 200 or not answer.read().endswith(b"\n"):
                    self.errors.append(f"status {answer.status}")
        except OSError as error:
            self.errors.append(repr(error))
        self.count += 1

    @contextmanager
    def running(self) -> Iterator[None]:
        stop = threading.Event()

        def scrape_on() -> None:
            while not stop.is_set():
                self.scrape()

        thread = threading.Thread(target=scrape_on)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def test_no_scrape_is_lost_while_listeners_come_and_go(agent: Start) -> None:
    kept, *others = (f"127.0.0.1:{free_port()}" for _ in range(3))
    one = agent("run", config=LISTEN.format(kept)).started()
    scraper = Scraper(f"http://{kept}")
    with scraper.running():
        for revision, other in enumerate(others, 2):
            before = scraper.count
            (one.folder / "agent.yml").write_text(LISTEN.format(f"[{kept!r}, {other!r}]"))
            assert one.client("supervisor").reload() == revision
            assert set(one.urls()) == {f"http://{kept}", f"http://{other}"}
            one.metrics(f"http://{other}")
            eventually(lambda before=before: scraper.count > before + 3, "no more scrapes")  # type: ignore[misc]
    assert scraper.errors == []


def test_what_needs_a_start_waits_also_when_the_role_dies_meanwhile(agent: Start) -> None:
    one = agent("run").started()
    other = one.folder / "other"
    (one.folder / "agent.yml").write_text(f"state-dir: {other}\nlog.level: debug\n")
    one.wait_for_config(2, successful=True)
    said = 'msg="takes effect at the next start" option=state-dir'
    eventually(lambda: said in one.log, "it was not said")
    assert one.log.count(said) == 1
    assert not other.exists()


def test_a_reload_while_the_role_is_being_restarted_reaches_it(agent: Start) -> None:
    one = agent("run", config=LISTEN.format("127.0.0.1:0")).started()
    os.kill(one.role_pid(), signal.SIGKILL)
    eventually(lambda: "role died" in one.log, "its death was not noticed")
    new = f"127.0.0.1:{free_port()}"
    (one.folder / "agent.yml").write_text(LISTEN.format(new))
    assert one.client("supervisor").reload() == 2
    one.started()
    assert one.urls() == (f"http://{new}",)
    one.wait_for_config(2, successful=True)


def test_a_reload_while_the_role_is_starting_reaches_it(agent: Start) -> None:
    one = agent("run", config=LISTEN.format("127.0.0.1:0"))
    eventually((one.run_dir / "supervisor.sock").exists, "no supervisor")
    new = f"127.0.0.1:{free_port()}"
    (one.folder / "agent.yml").write_text(LISTEN.format(new))
    assert one.client("supervisor").reload() == 2
    assert one.urls() == (f"http://{new}",)
    one.wait_for_config(2, successful=True)
