from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import docker
import pytest
from rich.console import Console
from rich.text import Text

from compose_agent.cli import commands
from compose_agent.commands.status_columns import COLUMNS, filled, fitting
from compose_agent.commands.status_table import page, plain
from compose_agent.dockerd.inventory import Link
from compose_agent.dockerd.model import PROJECT_LABEL, SERVICE_LABEL, Container, Engine
from compose_agent.dockerd.overview import Overview
from compose_agent.dockerd.overview.build import host_overview, row
from compose_agent.dockerd.overview.rates import Rates
from compose_agent.dockerd.overview.wire import to_json
from compose_agent.dockerd.overview.words import printable
from compose_agent.dockerd.usage import Sample
from compose_agent.errors import ComposeAgentError
from compose_agent.web.health import Readiness
from compose_agent.web.local import local_server
from compose_agent.web.response import Response, routed
from lab.engine import PrivateEngine
from remediation.api import reading_routes
from remediation.journal import FREEZE_FLAG, Journal
from remediation.model import Reason, State
from tests.remediation.journal.making import intent
from tests.remediation.standing import observer_of

NOW = 1_800_000_000.0
MIB = 1024 * 1024
UP = Link(True, NOW, "")
LONG_NAME = "a-container-whose-name-is-longer-than-a-narrow-terminal-has-room-for-1"
SAMPLE = Sample(1.0, None, None, None, None, None, MIB, MIB, None, None, None, 3, None, {})


def container(name: str, **changes: object) -> Container:
    base = Container(
        id=name.encode().hex().ljust(64, "0"),
        name=name,
        image="nginx:1",
        image_id="sha256:1",
        state="running",
        pid=100,
        started_at=NOW - 7200,
        labels={PROJECT_LABEL: "shop", SERVICE_LABEL: "web"},
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def overview(*containers: Container, link: Link = UP) -> Overview:
    rows = tuple(row(each, SAMPLE, Rates(cpu_cores=0.5 * n), NOW) for n, each in enumerate(containers))
    engine = Engine(name="box", version="28.5.2", cpus=2, memory_bytes=1024 * MIB)
    return Overview(NOW, host_overview(engine, link, rows, None, 0.25, complete=True), rows)


SHOP = overview(
    container("shop-web-2"),
    container("shop-web-10", state="exited", exit_code=3),
    container("shop-db-1", health="unhealthy", memory_limit_bytes=MIB),
)

Exporter = Callable[[bytes], Path]


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[Exporter]:
    """Return a function that serves a body at /v1/containers as a running exporter would."""
    with ExitStack() as stack:

        def start(body: bytes) -> Path:
            answer = Response(200, body, "application/json")
            app = routed({"/v1/containers": {"GET": lambda _: answer}})
            ready = Readiness("exporter", "0", 1)
            stack.enter_context(local_server(tmp_path, "exporter", lambda: ready, lambda _: 1, app))
            return tmp_path

        yield start


def run(*arguments: str | Path) -> None:
    commands.main(["status", *map(str, arguments)], standalone_mode=False)


def drawn(found: Overview, width: int, height: int | None = None) -> list[str]:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(page(found, width, height))
    return capture.get().splitlines()


def test_containers_come_from_the_running_exporter_by_project_and_name(
    exporter: Exporter, capsys: pytest.CaptureFixture[str]
) -> None:
    run("--run-dir", exporter(json.dumps(to_json(SHOP)).encode()))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("box  Docker 28.5.2 · CPU 25.0 % of 2")
    assert lines[1] == "3 containers: 2 running, 1 exited · 1 unhealthy"
    assert [line.split()[0] for line in lines[3:]] == ["NAME", "shop-db-1", "shop-web-2", "shop-web-10"]


def test_json_is_the_document_of_the_exporter_with_what_was_asked_for(
    exporter: Exporter, capsys: pytest.CaptureFixture[str]
) -> None:
    run("--run-dir", exporter(json.dumps(to_json(SHOP)).encode()), "--json", "--running", "--sort=-cpu")
    document = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in document["containers"]] == ["shop-db-1", "shop-web-2"]
    assert document["host"] == to_json(SHOP)["host"]


def test_words_filter(exporter: Exporter, capsys: pytest.CaptureFixture[str]) -> None:
    run("--run-dir", exporter(json.dumps(to_json(SHOP)).encode()), "--filter", "shop 10")
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[4:]] == ["shop-web-10"]


def test_without_exporter_and_engine_it_is_one_sentence_and_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    with pytest.raises(ComposeAgentError) as failure:
        run("--run-dir", tmp_path)
    assert str(failure.value).startswith("no exporter is running, and no Engine at unix://")
    assert "start Docker" in str(failure.value)
    assert failure.value.exit_code == 1


def test_an_engine_named_on_the_command_line_is_asked_although_an_exporter_runs(
    exporter: Exporter, tmp_path: Path
) -> None:
    with pytest.raises(ComposeAgentError, match=r"an Engine was named, and no Engine at"):
        run(
            "--run-dir",
            exporter(json.dumps(to_json(SHOP)).encode()),
            "--docker.host",
            tmp_path / "no.sock",
        )


def test_an_exporter_that_talks_nonsense_is_said_and_the_engine_asked(
    exporter: Exporter, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    with pytest.raises(ComposeAgentError, match=r"no overview of containers.*and no Engine at"):
        run("--run-dir", exporter(b"{}"))
    assert "asking the Engine itself" in capsys.readouterr().err


def test_an_unknown_column_is_a_usage_error() -> None:
    with pytest.raises(Exception, match="cannot sort by 'size': choose one of"):
        run("--sort=size")


def test_text_for_a_pipe_has_every_column_whole_and_no_colour() -> None:
    text = plain(overview(container(LONG_NAME, image="registry.example/" + "x" * 200)))
    assert LONG_NAME in text
    assert "x" * 200 in text
    assert "\x1b" not in text
    assert all(column.title in text for column in COLUMNS)
    assert not [line for line in text.splitlines() if line != line.rstrip()]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140, 200])
def test_a_terminal_gets_as_much_as_fits_in_one_line_each(width: int) -> None:
    found = overview(container(LONG_NAME), *(container(f"shop-web-{n}") for n in range(5)))
    lines = drawn(found, width)
    rows = [line for line in lines if line.lstrip().startswith(("●", "NAME"))]
    assert len(rows) == 7
    assert max(map(len, lines)) <= width


def test_the_least_important_columns_go_first() -> None:
    rows = SHOP.containers
    kept = [[each.column.title for each in fitting(filled(rows, NOW), room)] for room in (300, 110, 60, 20)]
    assert kept[0] == [column.title for column in COLUMNS]
    assert {"NAME", "STATE", "CPU", "MEMORY"} <= set(kept[2]) < set(kept[1]) < set(kept[0])
    assert kept[3][0] == "NAME"


def test_rows_below_the_terminals_end_are_counted() -> None:
    lines = drawn(overview(*(container(f"shop-web-{n}") for n in range(50))), 120, 20)
    assert len(lines) == 20
    assert lines[-1] == "and 35 more"


def test_a_lost_engine_stands_above_the_table() -> None:
    text = plain(overview(container("a"), link=Link(False, NOW - 90, "no Engine at unix:///x: start Docker")))
    assert "The Engine has not answered for 1 min; states are its last word: no Engine at unix:///x" in text


@pytest.mark.parametrize(
    ("text", "said"),
    [("shop-web-1", "shop-web-1"), ("a\x1b[2Jb", "a�[2Jb"), ("a\nb\x9b", "a�b�"), ("日本", "日本")],
)
def test_names_cannot_command_the_terminal(text: str, said: str) -> None:
    assert printable(text) == said


def test_nothing_on_the_host_is_no_error(exporter: Exporter, capsys: pytest.CaptureFixture[str]) -> None:
    run("--run-dir", exporter(json.dumps(to_json(overview())).encode()))
    assert capsys.readouterr().out.splitlines()[1] == "0 containers"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with closing(Journal(tmp_path / "state")) as journal:
        yield journal


@pytest.fixture
def remediation(journal: Journal, tmp_path: Path) -> Iterator[Journal]:
    """Serve a journal as the remediation role does, beside the exporter."""
    app = routed(reading_routes(journal, observer_of(journal), lambda: ()))
    ready = Readiness("remediation", "0", 1)
    with local_server(tmp_path, "remediation", lambda: ready, lambda _: 1, app):
        yield journal


def remediation_line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out.splitlines()[2]


@pytest.mark.usefixtures("remediation")
def test_there_is_a_line_about_remediation(
    exporter: Exporter, journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = exporter(json.dumps(to_json(SHOP)).encode())
    run("--run-dir", run_dir)
    assert remediation_line(capsys) == "Remediation: 0 under way"
    journal.write(lambda tx: tx.put_intent(intent("a", episode="e1", reason=Reason.APPROVAL)))
    journal.write(lambda tx: tx.put_intent(intent("b", episode="e2", reason=Reason.BUDGET)))
    done = {"state": State.DONE, "started_at": time.time() - 200}
    journal.write(lambda tx: tx.put_intent(intent("c", episode="e3", **done)))
    journal.write(lambda tx: tx.set_flag(FREEZE_FLAG, "frozen by ann\x1b[2J"))
    run("--run-dir", run_dir)
    assert remediation_line(capsys) == (
        "Remediation: frozen by ann\N{REPLACEMENT CHARACTER}[2J · 1 to approve · 1 under way · "
        "last restart of shop-web-1 3 min ago, done"
    )


def test_without_the_role_there_is_no_line_about_it(
    exporter: Exporter, capsys: pytest.CaptureFixture[str]
) -> None:
    run("--run-dir", exporter(json.dumps(to_json(SHOP)).encode()))
    assert remediation_line(capsys) == ""


@pytest.mark.parametrize("body", [b"{}", b"[1]", b"nonsense"])
def test_a_role_that_talks_nonsense_is_said_and_the_rest_shown(
    exporter: Exporter, tmp_path: Path, capsys: pytest.CaptureFixture[str], body: bytes
) -> None:
    app = routed({"/v1/overview": {"GET": lambda _: Response(200, body, "application/json")}})
    ready = Readiness("remediation", "0", 1)
    with local_server(tmp_path, "remediation", lambda: ready, lambda _: 1, app):
        run("--run-dir", exporter(json.dumps(to_json(SHOP)).encode()))
    out = capsys.readouterr().out
    assert "\nRemediation cannot be asked: " in out
    assert "shop-web-10" in out


def test_a_terminal_counts_the_line_about_remediation() -> None:
    found = overview(*(container(f"shop-web-{n}") for n in range(50)))
    console = Console(width=120, color_system=None)
    with console.capture() as capture:
        console.print(page(found, 120, 20, [Text("Remediation: 0 under way")]))
    lines = capture.get().splitlines()
    assert (len(lines), lines[-1]) == (20, "and 36 more")


@pytest.mark.engine
def test_without_an_exporter_the_engine_itself_is_read(
    engine: PrivateEngine,
    docker_client: docker.DockerClient,
    busybox: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    script = ["sh", "-c", "trap 'exit 0' TERM; while :; do :; done"]
    busy = docker_client.containers.run(busybox, script, detach=True, nano_cpus=200_000_000)
    try:
        run("--run-dir", tmp_path, "--docker.host", engine.host, "--json", "--running")
        document = json.loads(capsys.readouterr().out)
    finally:
        busy.remove(force=True)
    (found,) = [each for each in document["containers"] if each["id"] == busy.id[:12]]
    assert found["state"] == "running"
    assert 0.05 < found["cpu_cores"] < 0.5
    assert found["memory_working_set_bytes"] > 0
    assert document["host"]["up"]
