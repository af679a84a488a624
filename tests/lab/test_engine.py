from __future__ import annotations

import contextlib
import ipaddress
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from lab import LabError, busybox
from lab.engine import PrivateEngine, ping
from lab.scratch import cgroups, processes

pytestmark = pytest.mark.engine

# Ends at once on SIGTERM, so that an orderly stop of the Engine is quick.
ENDLESS = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.2; done"]
API_VERSIONS = {"20.10": "1.41", "28": "1.51"}


@pytest.fixture(scope="module")
def line(request: pytest.FixtureRequest) -> str:
    return str(request.config.getoption("--engine-line"))


@pytest.fixture(scope="module")
def own_engine(line: str) -> Iterator[PrivateEngine]:
    """An Engine that these tests may kill."""
    with PrivateEngine(line) as started:
        yield started


@pytest.fixture(scope="module")
def client(own_engine: PrivateEngine) -> Iterator[docker.DockerClient]:
    with contextlib.closing(docker.DockerClient(base_url=own_engine.host)) as connected:
        yield connected


@pytest.fixture(scope="module")
def container(client: docker.DockerClient) -> Any:
    image = busybox.ensure_image(client)
    return client.containers.run(image, ENDLESS, detach=True, restart_policy={"Name": "always"})


def until(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()


def test_it_is_of_the_chosen_line(client: docker.DockerClient, line: str) -> None:
    version = client.version()
    assert version["Version"].startswith(f"{line}.")
    assert version["ApiVersion"] == API_VERSIONS[line]


def test_it_is_not_the_systems_engine(own_engine: PrivateEngine, client: docker.DockerClient) -> None:
    information = client.info()
    assert information["DockerRootDir"] == f"{own_engine.root}/data"
    assert str(own_engine.pid) == (own_engine.root / "dockerd.pid").read_text(encoding="utf-8").strip()


def test_a_container_has_an_eth0_whose_counters_the_host_can_read(container: Any) -> None:
    container.reload()
    text = Path(f"/proc/{container.attrs['State']['Pid']}/net/dev").read_text(encoding="utf-8")
    assert "eth0:" in text
    assert "eth0" in container.stats(stream=False)["networks"]


def test_a_container_can_see_mounts_of_the_host_as_on_a_systemd_host(client: docker.DockerClient) -> None:
    binds = {"/proc": {"bind": "/host/proc", "mode": "ro,rslave"}}
    output = client.containers.run(
        busybox.ensure_image(client), ["cat", "/host/proc/1/comm"], volumes=binds, remove=True
    )
    assert output.decode() == Path("/proc/1/comm").read_text(encoding="utf-8")


def test_the_command_line_client_reaches_it(own_engine: PrivateEngine, container: Any) -> None:
    listing = subprocess.run(
        ["docker", "ps", "--no-trunc", "--format", "{{json .ID}}"],
        env=own_engine.environment,
        capture_output=True,
        check=True,
        timeout=30,
    )
    assert json.loads(listing.stdout) == container.id


def test_it_answers_again_after_being_frozen(own_engine: PrivateEngine) -> None:
    own_engine.freeze()
    assert not ping(own_engine.socket, timeout=0.2)
    own_engine.thaw()
    assert until(lambda: ping(own_engine.socket))


def test_containers_outlive_a_killed_engine_until_it_starts_again(
    own_engine: PrivateEngine, container: Any
) -> None:
    container.reload()
    before = container.attrs["State"]["Pid"]
    own_engine.kill()
    assert not ping(own_engine.socket)
    assert Path(f"/proc/{before}").exists()
    own_engine.restart()
    assert until(lambda: _pid(container) not in (0, before))
    assert until(lambda: not Path(f"/proc/{before}").exists())


def test_an_orderly_restart_gives_a_new_dockerd_on_the_same_data(
    own_engine: PrivateEngine, container: Any
) -> None:
    before = own_engine.pid
    own_engine.restart()
    assert own_engine.pid != before
    assert until(lambda: _pid(container) != 0)


def test_its_log_is_at_hand(own_engine: PrivateEngine) -> None:
    assert "API listen on" in own_engine.logs(200)


def test_two_engines_do_not_meet_and_leave_no_trace(line: str) -> None:
    with PrivateEngine(line) as first, PrivateEngine(line, share_network=True) as second:
        for engine in (first, second):
            _use_thoroughly(engine)
        engines = [engine.root for engine in (first, second)]
        assert all(_traces(root.name) for root in engines)
        assert Path(f"/proc/{first.pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
        pool = ipaddress.ip_network((second.root / "pool").read_text(encoding="utf-8"))
        bridges = _bridges(pool)
        assert len(bridges) == 2
        assert _lets_speak(pool)
    assert [_traces(root.name) for root in engines] == [[], []]
    assert not any(root.exists() for root in engines)
    # Another Engine may have the pool by now, with bridges of its own.
    left = _bridges(pool)
    assert not bridges & left
    assert left or not _lets_speak(pool)


def test_published_ports_are_on_the_hosts_loopback_when_the_network_is_shared(line: str) -> None:
    with PrivateEngine(line, share_network=True) as engine:
        client = docker.DockerClient(base_url=engine.host)
        with contextlib.closing(client):
            serve = ["sh", "-c", "echo hello >/tmp/index.html; exec httpd -f -p 80 -h /tmp"]
            started = client.containers.run(
                busybox.ensure_image(client), serve, detach=True, ports={"80/tcp": ("127.0.0.1", None)}
            )
            started.reload()
            (published,) = started.ports["80/tcp"]
        fetch = ["curl", "-fsS", "--noproxy", "*", "--retry", "5", "--retry-all-errors"]
        url = f"http://127.0.0.1:{published['HostPort']}/"
        assert subprocess.run([*fetch, url], capture_output=True, check=True, timeout=30).stdout == b"hello\n"


def test_an_engine_that_does_not_start_says_why() -> None:
    with pytest.raises(LabError, match="no-such-flag"):
        PrivateEngine(flags=("--no-such-flag",)).start()


def test_an_unknown_line_is_answered_with_the_known_ones() -> None:
    with pytest.raises(LabError, match=r"choose one of 20\.10, 28"):
        PrivateEngine("1.0").start()


def test_an_engine_that_is_not_started_says_so() -> None:
    with pytest.raises(LabError, match="not started"):
        _ = PrivateEngine().socket


def _pid(container: Any) -> int:
    container.reload()
    return int(container.attrs["State"]["Pid"])


def _use_thoroughly(engine: PrivateEngine) -> None:
    with contextlib.closing(docker.DockerClient(base_url=engine.host)) as client:
        client.networks.create("more")
        started = client.containers.run(busybox.ensure_image(client), ENDLESS, detach=True, network="more")
        assert client.containers.list() == [started]
        # A signal does not reach a paused container before it is thawed.
        started.pause()


def _traces(token: str) -> list[object]:
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    return [*processes(token), *cgroups(token), *(mount for mount in mounts if token in mount)]


def _lets_speak(pool: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    """Tell whether the host's packet filter lets the addresses of ``pool`` through to each other."""
    rule = ["FORWARD", "-s", str(pool), "-d", str(pool), "-j", "ACCEPT"]
    return subprocess.run(["iptables", "-w", "-C", *rule], capture_output=True, check=False).returncode == 0


def _bridges(pool: ipaddress.IPv4Network | ipaddress.IPv6Network) -> set[int]:
    """Return the host's bridges with an address in ``pool``, by the numbers that are never given again."""
    listing = subprocess.run(
        ["ip", "-json", "address", "show", "type", "bridge"], capture_output=True, check=True, timeout=10
    )
    return {
        int(link["ifindex"])
        for link in json.loads(listing.stdout)
        if any(ipaddress.ip_address(info["local"]) in pool for info in link.get("addr_info", []))
    }
