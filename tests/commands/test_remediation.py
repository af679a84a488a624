"""The subcommands about remediation, inside this process, with its real routes and without a running role."""

from __future__ import annotations

import json
import signal as signals
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import click
import pytest

from compose_agent.cli import commands
from compose_agent.commands.actions import changed
from compose_agent.commands.remediation_source import user_name
from compose_agent.errors import ComposeAgentError, StateError
from compose_agent.web.health import Readiness
from compose_agent.web.local import local_server
from compose_agent.web.localclient import RoleNotRunning
from compose_agent.web.response import routed
from remediation.api import reading_routes, writing_routes
from remediation.history import Filter, rows
from remediation.journal import FREEZE_FLAG, Journal
from remediation.model import Reason, State
from remediation.operations import Operations
from tests.commands.program import COMMAND, PATIENCE_SECONDS, environment
from tests.remediation.journal.making import SHOP_WEB, episode, intent, signal
from tests.remediation.standing import observer_of

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a subcommand on the state directory of the test, and return what it prints."""

    def run(*arguments: str) -> str:
        folders = [f"--state-dir={tmp_path}", f"--run-dir={tmp_path / 'run'}"]
        commands.main([*arguments, *folders], standalone_mode=False)
        return capsys.readouterr().out

    return run


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Return a journal with one action that is done and one that waits for approval."""
    with closing(Journal(tmp_path)) as journal:
        journal.receive([signal("f1")])
        now = time.time()
        done = {"state": State.DONE, "detail": "shop-web-1 is well\x1b[31m", "created_at": now - 7200}
        journal.write(lambda tx: tx.put_episode(episode("e1")))
        journal.write(lambda tx: tx.put_intent(intent("aaa1", **done)))
        journal.write(lambda tx: tx.put_episode(episode("e2", policy="scale", target=SHOP_WEB)))
        waits = intent(
            "bbb2", episode="e2", policy="scale", target=SHOP_WEB, action="scale", reason=Reason.APPROVAL,
            detail="the policy wants it", created_at=now,
        )  # fmt: skip
        journal.write(lambda tx: tx.put_intent(waits))
        yield journal


@pytest.fixture
def role(journal: Journal, tmp_path: Path) -> Iterator[Journal]:
    """Serve the journal as the role does."""
    reading = reading_routes(journal, observer_of(journal), lambda: {"mend", "scale"})
    app = routed({**reading, **writing_routes(Operations(journal, lambda: None))})
    server = local_server(
        tmp_path / "run", "remediation", lambda: Readiness("remediation", "1", 1, (), ()), lambda _: 1, app
    )
    server.bind()
    with ExitStack() as cleanup:
        server.start()
        cleanup.callback(server.stop)
        yield journal


@pytest.mark.usefixtures("role")
def test_actions_are_a_table_of_the_latest_first(run: Run) -> None:
    head, first, second = run("actions").splitlines()
    assert head.split() == ["PLANNED", "ACTION", "TARGET", "STATE", "TOOK", "ALERT", "POLICY", "ID", "WHY"]
    assert first.split()[3:7] == ["scale", "shop/web", "planned", "–"]  # noqa: RUF001 - a dash
    assert "bbb2" in first
    assert first.endswith("the policy wants a person's approval: the policy wants it")
    assert "aaa1" in second
    assert "\x1b" not in second


@pytest.mark.usefixtures("role")
@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ([], ["bbb2", "aaa1"]),
        (["--limit=1"], ["bbb2"]),
        (["--state=done"], ["aaa1"]),
        (["--policy=scale"], ["bbb2"]),
        (["--target=shop-web-1"], ["aaa1"]),
        (["--since=1h"], ["bbb2"]),
        (["--state=failed"], []),
    ],
)
def test_actions_can_be_filtered(run: Run, options: list[str], ids: list[str]) -> None:
    assert [row["id"] for row in json.loads(run("actions", "--json", *options))] == ids


def test_without_the_role_its_journal_answers(
    run: Run, role: Journal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    up = [run("actions", "--json"), run("why", "bbb2")]
    role.close()
    (tmp_path / "run" / "remediation.sock").rename(tmp_path / "gone")
    commands.main(["actions", "--json", f"--state-dir={tmp_path}"], standalone_mode=False)
    printed = capsys.readouterr()
    assert printed.out == up[0]
    assert printed.err == "compose-agent: remediation is not running; this is what its journal says\n"
    assert run("why", "bbb2") == up[1]
    for command in (["freeze"], ["thaw"], ["approve", "bbb2"], ["deny", "bbb2"]):
        with pytest.raises(RoleNotRunning):
            run(*command)


def test_without_any_state_that_is_said(run: Run) -> None:
    for command in (["actions"], ["why", "x"], ["audit", "verify"]):
        with pytest.raises(StateError, match="there is no state in "):
            run(*command)


@pytest.mark.usefixtures("role")
def test_why_tells_the_story(run: Run) -> None:
    told = run("why", "aaa1")
    assert told.splitlines()[0] == "ContainerUnhealthy: policy mend, container:shop-web-1"
    assert "  ContainerUnhealthy fires since 1970-01-01 00:16:40 UTC (alertmanager).\n" in told
    assert "  The restart of container:shop-web-1 helped: shop-web-1 is well\N{REPLACEMENT CHARACTER}" in told
    assert "What helps: say 'compose-agent approve bbb2', or 'compose-agent deny bbb2'." in run(
        "why", "shop/web"
    )
    assert json.loads(run("why", "f1", "--json"))[0]["heading"]
    with pytest.raises(ComposeAgentError, match="heard nothing of 'moon': name an alert"):
        run("why", "moon")


def test_a_freeze_is_told_in_ones_own_name(run: Run, role: Journal) -> None:
    said = run("freeze", "the", "database", "moves")
    assert f" by {user_name()}: the database moves; 'compose-agent thaw'" in said
    assert role.read(lambda view: view.flag(FREEZE_FLAG)) == said.strip()
    assert run("thaw") == "remediation goes on\n"
    with pytest.raises(ComposeAgentError, match="remediation is not frozen"):
        run("thaw")


def test_an_action_is_approved_or_denied_once(run: Run, role: Journal) -> None:
    assert run("approve", "bbb", "looks", "right") == "approved: scale of shop/web, by policy scale\n"
    entry = role.read(lambda view: view.entries_about(["bbb2"], 9))[-1]
    assert (entry.kind, entry.fields) == ("approved", {"by": user_name(), "why": "looks right"})
    with pytest.raises(ComposeAgentError, match=r"does not wait for approval: it is approved by"):
        run("deny", "bbb2")
    with pytest.raises(ComposeAgentError, match="no action, or more than one"):
        run("approve", "zzz")


def test_a_denied_action_is_shown_as_such(run: Run, role: Journal) -> None:
    assert run("deny", "bbb2") == "denied: scale of shop/web, by policy scale\n"
    (row,) = role.read(lambda view: rows(view, Filter(policy="scale"), 9))
    assert (row.state, row.reason) == ("suppressed", "denied")


def test_the_audit_is_verified_in_the_file_itself(run: Run, role: Journal) -> None:
    entries, last = role.read(lambda view: (view.entries(0, 99), view.entries(0, 99)[-1]))
    assert run("audit", "verify") == f"{len(entries)} entries hold; the last is {last.seq}, {last.hash}\n"
    role._database.execute("DROP TRIGGER audit_never_changed")
    role._database.execute("UPDATE audit SET kind = 'other' WHERE seq = 1")
    with pytest.raises(ComposeAgentError, match=r"broken at entry 1: .*keep the file"):
        run("audit", "verify")


@pytest.mark.usefixtures("role")
@pytest.mark.parametrize("options", [["--since=soon"], ["--limit=0"], ["--state=odd"]])
def test_what_an_option_cannot_be_is_refused(run: Run, options: list[str]) -> None:
    with pytest.raises(click.BadParameter):
        run("actions", *options)


def test_following_says_what_changes(journal: Journal) -> None:
    def read() -> list[Any]:
        return journal.read(lambda view: rows(view, Filter(), 9))

    seen: dict[str, Any] = {}
    assert [row.id for row in changed(read(), seen)] == ["aaa1", "bbb2"]
    assert list(changed(read(), seen)) == []
    known = journal.read(lambda view: view.intent("bbb2"))
    assert known is not None
    later = intent("bbb2", episode="e2", state=State.EXECUTING, target=SHOP_WEB)
    journal.write(lambda tx: tx.put_intent(later))
    assert [(row.id, row.state) for row in changed(read(), seen)] == [("bbb2", "executing")]
    assert list(changed([], seen)) == []
    assert seen == {}


def test_follow_prints_a_line_for_each_change_until_it_is_told_to_end(
    journal: Journal, tmp_path: Path
) -> None:
    folders = [f"--state-dir={tmp_path}", f"--run-dir={tmp_path / 'run'}"]
    following = subprocess.Popen(
        [*COMMAND, "actions", "--follow", "--json", *folders],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with following, ExitStack() as cleanup:
        cleanup.callback(following.kill)
        assert following.stdout is not None
        assert [json.loads(following.stdout.readline())["id"] for _ in range(2)] == ["aaa1", "bbb2"]
        ended = intent("bbb2", episode="e2", state=State.FAILED, target=SHOP_WEB)
        journal.write(lambda tx: tx.put_intent(ended))
        assert json.loads(following.stdout.readline())["state"] == "failed"
        following.send_signal(signals.SIGTERM)
        said = following.communicate(timeout=PATIENCE_SECONDS)
        assert (following.returncode, said[0]) == (0, "")
        assert said[1].count("remediation is not running") == 1
