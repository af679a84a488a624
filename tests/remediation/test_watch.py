"""What events of others mean, as tables: who was stopped by hand, and which project is being deployed."""

from __future__ import annotations

import pytest

from compose_agent.dockerd.stream import Event
from compose_agent.dockerd.verbs.model import VerbRequest
from remediation.ours import Ours
from remediation.watch import Watch

PROJECT = {"com.docker.compose.project": "shop"}
SECOND = 10**9


def heard(watch: Watch, *events: tuple[str, float, str]) -> None:
    """Have a watch hear of (action, second, signal) of one container."""
    for action, at, signal in events:
        attributes = {**PROJECT, **({"signal": signal} if signal else {})}
        watch.hear(Event(action, "c1", int(at * SECOND), attributes))


@pytest.mark.parametrize(
    ("events", "by_hand"),
    [
        ([("kill", 1, "15"), ("die", 2, "")], True),
        ([("kill", 1, "15"), ("kill", 11, "9"), ("die", 600, "")], True),
        ([("kill", 1, "37"), ("die", 2, "")], True),  # a stop signal of its own
        ([("kill", 1, "37"), ("stop", 60, ""), ("die", 61, "")], True),
        ([("kill", 1, "1"), ("die", 600, "")], False),  # it had reloaded, and died by itself much later
        ([("kill", 1, "15"), ("kill", 2, "1"), ("die", 600, "")], True),
        ([("die", 2, "")], False),
        ([("kill", 1, "15"), ("die", 2, ""), ("start", 3, "")], False),
        ([("kill", 1, "15"), ("die", 2, ""), ("start", 3, ""), ("die", 4, "")], False),
    ],
)
def test_who_was_stopped_by_hand(events: list[tuple[str, float, str]], *, by_hand: bool) -> None:
    watch = Watch()
    heard(watch, *events)
    assert watch.world((), "").stopped_by_hand == (frozenset({"c1"}) if by_hand else frozenset())


def test_what_we_do_ourselves_is_nobody_elses() -> None:
    now = 0.0
    ours = Ours(lambda: now)
    watch = Watch(ours.has)
    with ours.acting(VerbRequest(id="i", verb="recreate", target="c1"), "shop"):
        heard(watch, ("kill", 1, "15"), ("die", 2, ""))
        watch.hear(Event("create", "c2", 3 * SECOND, PROJECT))
    watch.hear(Event("destroy", "c1", 4 * SECOND, PROJECT))
    world = watch.world((), "")
    assert (world.stopped_by_hand, world.deployments) == (frozenset(), {})
    now = 6.0
    watch.hear(Event("create", "c3", 9 * SECOND, PROJECT))
    assert watch.world((), "").deployments == {"shop": 9.0}


def test_what_an_earlier_run_did_is_nobody_elses_either() -> None:
    ours = Ours(lambda: 0.0)
    watch = Watch(ours.has)
    ours.claim(VerbRequest(id="i", verb="restart", target="c1"))
    heard(watch, ("kill", 1, "15"), ("die", 2, ""))
    assert not watch.world((), "").stopped_by_hand
