"""Processes of the program, over the fake Engine: their end with a dead collector, and the start after it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.chain import UNLIMITED, Remediation, policies
from bench.patients import Ward, fake_ward, wait_until
from bench.remediation_plan import Patient
from bench.tracing_cost import post
from bench.trees import judge
from compose_agent.tracing.fake.collector import FakeCollector
from compose_agent.tracing.reading import account_of
from lab.agent import Agent
from lab.loopback import free_port
from remediation.journal import look
from remediation.model import Intent

NAMES = [f"web-{number}" for number in range(5)]
PATIENCE_SECONDS = 60.0


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with fake_ward(tmp_path) as opened:
        for name in NAMES:
            opened.admit(Patient(name, True, False, 0.0, 0.0, ()))
        yield opened


def ended(state_dir: Path) -> list[Intent]:
    with look(state_dir) as view:
        return [intent for _, intent in view.latest_intents(100) if intent.ended_at]


def test_sigterm_with_a_dead_collector_leaves_all_spans_to_the_next_start(ward: Ward) -> None:
    port = free_port()
    options = [*UNLIMITED, f"--tracing.endpoint=http://127.0.0.1:{port}"]
    with Remediation(ward.host, policies("any"), options) as role:
        role.wait_ready()
        for name in NAMES:
            post(role.webhook, name)
        wait_until(lambda: len(ended(role.state_dir)) == len(NAMES), "not all was done", PATIENCE_SECONDS)
        began = time.monotonic()
        assert role.stop() == 0
        assert time.monotonic() - began < 10.0  # then a container's runtime would kill it
        account = account_of(role.state_dir / "traces" / "remediation")
        assert account.spooled == account.created >= len(NAMES) * 8
        with FakeCollector(port) as collector:
            role.start()
            collector.wait_for(account.created, PATIENCE_SECONDS)
            trees = judge(ended(role.state_dir), collector.spans)
            assert (trees.complete, trees.repeated, trees.wrong) == (len(NAMES), 0, [])


@pytest.mark.parametrize("how", ["", "--one-process"])
def test_roles_under_a_supervisor_trace_each_action_once(ward: Ward, tmp_path: Path, how: str) -> None:
    """As processes each has its own spool, as threads they share one; nothing is doubled."""
    port = free_port()
    with FakeCollector() as collector:
        options = [
            "--enable-remediation",
            f"--state-dir={tmp_path}/state",
            f"--remediation.web.listen-address=127.0.0.1:{port}",
            f"--tracing.endpoint={collector.url}",
            *([how] if how else []),
        ]
        with Agent(ward.host, options, command="run", role="remediation") as agent:
            agent.wait_ready()
            post(f"http://127.0.0.1:{port}/webhook", NAMES[0])
            wait_until(lambda: bool(ended(tmp_path / "state")), "it was not decided", PATIENCE_SECONDS)
            agent.local.request("POST", "/-/reload")
            assert agent.stop() == 0
        names = [each.name for each in collector.spans]
        assert names.count("POST /webhook") == 1
        assert sum(name.startswith("remediate ") for name in names) == len(ended(tmp_path / "state"))
        assert collector.repeated() == 0
    spools = {each.name for each in (tmp_path / "state" / "traces").iterdir()}
    assert spools == ({"agent"} if how else {"exporter", "remediation"})
