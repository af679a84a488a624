"""Who a container's process becomes."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from compose_agent.errors import ConfigError
from compose_agent.privileges import VARIABLE, become_container_user

IMAGE = {VARIABLE: "65532:65532"}


@dataclass
class Process:
    """A process of root's, which may change users or not."""

    uid: int = 0
    gid: int = 0
    groups: list[int] = field(default_factory=lambda: [0, 4321])
    capable: bool = True

    def geteuid(self) -> int:
        return self.uid

    def getgroups(self) -> list[int]:
        return self.groups

    def setgroups(self, groups: list[int], /) -> None:
        if not self.capable:
            raise PermissionError
        assert self.uid == 0, "afterwards it may not any more"
        self.groups = groups

    def setgid(self, gid: int, /) -> None:
        assert self.uid == 0, "afterwards it may not any more"
        self.gid = gid

    def setuid(self, uid: int, /) -> None:
        self.uid = uid


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    path = tmp_path / "engine.sock"
    path.touch()
    return path


@pytest.mark.parametrize("name", ["DOCKER_HOST", "COMPOSE_AGENT_DOCKER_HOST"])
@pytest.mark.parametrize("scheme", ["unix://", ""])
def test_root_joins_the_sockets_group_and_becomes_the_images_user(
    socket: Path, name: str, scheme: str
) -> None:
    if os.geteuid() == 0:
        os.chown(socket, 0, 998)
    process = Process()
    become_container_user({**IMAGE, name: f"{scheme}{socket}"}, process)
    assert (process.uid, process.gid) == (65532, 65532)
    assert {65532, 4321, socket.stat().st_gid} <= set(process.groups)


def test_roots_own_group_is_left_unless_the_socket_is_its(tmp_path: Path) -> None:
    process = Process()
    become_container_user({**IMAGE, "DOCKER_HOST": f"unix://{tmp_path}/absent"}, process)
    usual = Path("/var/run/docker.sock")
    expected = {usual.stat().st_gid} if usual.exists() else set()
    assert set(process.groups) == {4321, 65532} | expected


def test_an_engine_elsewhere_has_no_group() -> None:
    process = Process()
    become_container_user({**IMAGE, "DOCKER_HOST": "tcp://10.0.0.1:2375"}, process)
    assert process.uid == 65532


@pytest.mark.parametrize(
    ("environ", "process"),
    [
        ({}, Process()),
        (IMAGE, Process(uid=1000)),
        (IMAGE, Process(capable=False)),
        ({VARIABLE: ""}, Process()),
    ],
    ids=["not in the image", "another user", "root without capabilities", "switched off"],
)
def test_otherwise_it_stays_who_it_is(environ: dict[str, str], process: Process) -> None:
    before = (process.uid, process.gid, list(process.groups))
    become_container_user(environ, process)
    assert (process.uid, process.gid, process.groups) == before


@pytest.mark.parametrize("text", ["nobody", "1", "1:", "a:b"])
def test_a_user_that_is_no_numbers_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected numbers such as 65532:65532"):
        become_container_user({VARIABLE: text}, Process())
