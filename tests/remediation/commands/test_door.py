"""Commands through the whole role, over the fake Engine."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from compose_agent.boottime import Moment, after
from compose_agent.commands.roles import SCHEMA
from compose_agent.config.resolve import Given, resolve
from compose_agent.dockerd.fake import FakeEngine
from compose_agent.role import ConfigState
from remediation.commands.door import PATH
from remediation.role import RemediationRole
from tests.fleet.manager.serving import until

OPTED_IN = {"compose-agent.remediate": "restart"}
ENDS = {"done", "failed", "refused", "expired", "unknown"}


class Host:
    """A role, and its local socket asked directly."""

    def __init__(self, state: Path, engine: FakeEngine, stack: ExitStack) -> None:
        self._state, self._stack = state, stack
        self.engine = engine
        self.role = self.start()

    def start(self, **options: str) -> RemediationRole:
        given = {
            "state-dir": str(self._state),
            "docker.host": self.engine.url,
            "remediation.web.listen-address": ["127.0.0.1:0"],
            **{f"remediation.{key.replace('_', '-')}": value for key, value in options.items()},
        }
        config = resolve(SCHEMA, [{key: Given(value, "here") for key, value in given.items()}])
        role = RemediationRole(config, ConfigState())
        role.start()
        self._stack.callback(role.stop)
        return role

    def ask(self, method: str, query: str = "", **asked: Any) -> tuple[int, dict[str, Any]]:
        status: list[str] = []
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": PATH,
            "QUERY_STRING": query,
            "wsgi.input": io.BytesIO(json.dumps(asked).encode()),
        }
        body = b"".join(self.role.routes()(environ, lambda said, *_: status.append(said)))  # type: ignore[arg-type]
        return int(status[0][:3]), json.loads(body)

    def command(
        self, command_id: str, action: str, target: str = "", **more: Any
    ) -> tuple[int, dict[str, Any]]:
        begin_by: Moment = more.pop("begin_by", after(3600.0))
        moment = {"boot": begin_by.boot, "at": begin_by.at}
        return self.ask(
            "POST", id=command_id, action=action, target=target, by="ann", begin_by=moment, **more
        )

    def ended(self, command_id: str) -> dict[str, Any]:
        until(lambda: self.ask("GET", f"id={command_id}")[1].get("stage") in ENDS)
        return self.ask("GET", f"id={command_id}")[1]

    def restarts(self) -> int:
        return sum(count for path, count in self.engine.requests().items() if path.endswith("/restart"))


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with ExitStack() as stack:
        engine = stack.enter_context(FakeEngine())
        engine.add_container("web", labels=OPTED_IN)
        engine.add_container("private")
        yield Host(tmp_path, engine, stack)


def test_a_restart_is_done_once_however_often_it_is_asked_for(host: Host) -> None:
    before = host.engine.inspect("web")["State"]["StartedAt"]
    for _ in range(3):
        assert host.command("c1", "restart", "web")[0] == 200
    assert host.ended("c1")["stage"] == "done"
    assert host.command("c1", "restart", "web")[1]["stage"] == "done"
    assert host.engine.inspect("web")["State"]["StartedAt"] != before
    assert host.restarts() == 1


def test_commands_that_follow_one_another_are_each_done(host: Host) -> None:
    for number in range(3):
        assert host.command(f"c{number}", "restart", "web")[0] == 200
        assert host.ended(f"c{number}")["stage"] == "done"
    assert host.restarts() == 3


@pytest.mark.parametrize(
    ("action", "target", "stage", "words"),
    [
        ("restart", "private", "refused", "the target has not opted in"),
        ("restart", "nobody", "refused", "there is no container 'nobody'"),
        ("stop", "web", "done", ""),
    ],
)
def test_the_guard_decides(host: Host, action: str, target: str, stage: str, words: str) -> None:
    host.command("c1", action, target)
    ended = host.ended("c1")
    assert ended["stage"] == stage
    assert words in ended["detail"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"action": "frobnicate", "target": "web"}, "there is no command 'frobnicate'"),
        ({"action": "notify", "target": "web"}, "there is no command 'notify'"),
        ({"action": "scale", "target": "web"}, "scale is for project/service, not for 'web'"),
        ({"action": "restart", "target": ""}, "restart needs a target"),
        ({"action": "restart", "target": "web", "arguments": {"colour": "red"}}, "no argument colour"),
        ({"action": "exec", "target": "web"}, "exec needs name"),
        ({"action": "scale", "target": "a/b", "arguments": {"to": "many"}}, "to: expected"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_with_a_reason(
    host: Host, asked: dict[str, Any], words: str
) -> None:
    status, answer = host.command("c1", **asked)
    assert status == 400
    assert words in answer["error"]
    assert host.ask("GET", "id=c1")[0] == 404


def test_what_comes_too_late_is_not_done(host: Host) -> None:
    assert host.command("c1", "restart", "web", begin_by=after(-1.0))[1]["stage"] == "expired"
    assert (
        host.command("c2", "restart", "web", begin_by=Moment("another boot", 1e12))[1]["stage"] == "expired"
    )
    assert host.command("c3", "freeze", begin_by=after(-1.0))[1]["stage"] == "expired"
    assert host.restarts() == 0


def test_what_waits_expires_with_what_it_waited_for(host: Host) -> None:
    assert host.command("c1", "freeze")[1]["stage"] == "done"
    host.command("c2", "restart", "web", begin_by=after(2.0))
    until(lambda: "frozen" in host.ask("GET", "id=c2")[1]["detail"])
    ended = host.ended("c2")
    assert ended["stage"] == "expired"
    assert "it was not begun in time, it waited: frozen since" in ended["detail"]
    assert host.restarts() == 0


def test_a_freeze_is_set_once_and_not_again_after_a_thaw(host: Host) -> None:
    assert host.command("c1", "freeze", why="a move")[1]["stage"] == "done"
    assert host.command("c2", "thaw")[1] == {
        "stage": "done",
        "detail": "it goes on",
        "intent": "",
        "details": {},
    }
    assert host.command("c1", "freeze", why="a move")[1]["stage"] == "done"
    assert host.command("c3", "thaw")[1]["stage"] == "refused"


def test_a_dry_run_says_what_would_be_done(host: Host) -> None:
    host.command("c1", "restart", "web", dry_run=True)
    ended = host.ended("c1")
    assert (ended["stage"], host.restarts()) == ("done", 0)
    assert "this is a dry run" in ended["detail"]


def test_what_a_command_has_stopped_stays_so(host: Host) -> None:
    host.command("c1", "stop", "web")
    assert host.ended("c1")["stage"] == "done"
    until(lambda: not host.engine.inspect("web")["State"]["Running"])
    until(lambda: host.engine.inspect("web")["Id"] in host.role._world().stopped_by_hand)
    host.command("c2", "start", "web")
    assert host.ended("c2")["stage"] == "done"


def test_two_at_the_same_time_on_one_target_follow_one_another(host: Host) -> None:
    assert host.command("c0", "freeze")[1]["stage"] == "done"
    assert host.command("c1", "restart", "web")[0] == 200
    status, answer = host.command("c2", "restart", "web")
    assert (status, answer["error"]) == (409, "another command on web is under way")
    host.command("c3", "thaw")
    assert host.ended("c1")["stage"] == "done"
    assert host.command("c2", "restart", "web")[0] == 200


Late = Callable[[], None]


def test_what_was_decided_before_the_end_and_not_begun_is_not_begun_late(tmp_path: Path) -> None:
    with ExitStack() as stack:
        engine = stack.enter_context(FakeEngine())
        engine.add_container("web", labels=OPTED_IN)
        host = Host(tmp_path, engine, stack)
        engine.freeze()  # the Engine answers nobody
        host.command("c1", "restart", "web", begin_by=after(1.0))
        time.sleep(1.1)  # the deadline itself is what is waited for
        engine.thaw()
        assert host.ended("c1")["stage"] == "expired"
        assert host.restarts() == 0
