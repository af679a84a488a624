"""The watch over orders of events as Engines send them (milliseconds, action, attribute)."""

from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import pytest

from compose_agent.dockerd.model import Container
from compose_agent.dockerd.stream import Event
from compose_agent.typed import from_json
from remediation.model import Signal
from remediation.triggers.watch import ContainerWatch, LoopLimits
from remediation.triggers.watched import WatchState
from tests.remediation.triggers.told import words

ID = "c0ffee" * 10
BEGIN = 1_750_000_000 * 10**9
NAMES = {"name": "web", "image": "web:1"}
COMPOSE = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
WEB = Container(ID, "web", "web:1", "sha256:1", "running", restart_policy="always", pid=1)
Told = tuple[float, str] | tuple[float, str, str]

RESTART_AFTER_TERM: list[Told] = [
    (22, "kill", "15"),
    (233, "stop"),
    (237, "die", "0"),
    (561, "start"),
    (564, "restart"),
]
RESTART_OF_A_DEAF_ONE: list[Told] = [
    (22, "kill", "15"),
    (10_022, "kill", "9"),
    (10_200, "stop"),
    (10_205, "die", "137"),
    (10_500, "start"),
    (10_503, "restart"),
]
THREE_RESTARTS_AT_ONCE: list[Told] = [
    (20, "kill", "15"),
    (21, "kill", "15"),
    (22, "kill", "15"),
    (2021, "kill", "9"),
    (2022, "kill", "9"),
    (2200, "stop"),
    (2201, "stop"),
    (2204, "die", "137"),
    (2206, "stop"),
    (2500, "start"),
    (2503, "restart"),
    (2504, "restart"),
    (2505, "restart"),
]


def at(ms: float) -> int:
    return BEGIN + int(ms * 10**6)


def event(ms: float, action: str, more: str = "", *, container_id: str = ID, **attributes: str) -> Event:
    own = {"die": "exitCode", "kill": "signal"}.get(action)
    detail = more if action == "health_status" else ""
    return Event(
        action,
        container_id,
        at(ms),
        {**NAMES, **COMPOSE, **({own: more} if own else {}), **attributes},
        detail,
    )


def heard(watch: ContainerWatch, events: list[Told]) -> list[Signal]:
    """Have the watch hear events, with time passing between and after them."""
    signals: list[Signal] = []
    for each in events:
        signals += watch.tick(at(each[0]))
        signals += watch.hear(event(each[0], each[1], each[2] if len(each) > 2 else ""))
    return signals + watch.tick(at(events[-1][0] + 3000))


CASES: dict[str, tuple[list[Told], list[str]]] = {
    "a crash": ([(0, "start"), (900, "die", "1")], ["+ContainerDied"]),
    "a crash that is started again": (
        [(0, "start"), (900, "die", "1"), (1200, "start")],
        ["+ContainerDied", "-ContainerDied"],
    ),
    "an end without error": ([(0, "start"), (900, "die", "0")], []),
    "kill -9 of the main process on the host": ([(0, "start"), (900, "die", "137")], ["+ContainerDied"]),
    "docker stop": ([(22, "kill", "15"), (233, "stop"), (237, "die", "143")], []),
    "docker kill": ([(22, "kill", "9"), (60, "die", "137")], []),
    "docker kill -s TERM, and a long farewell": ([(22, "kill", "15"), (90_000, "die", "1")], []),
    "docker restart": (RESTART_AFTER_TERM, []),
    "docker restart of one that is deaf": (RESTART_OF_A_DEAF_ONE, []),
    "docker restart of a paused one": (
        [(1, "kill", "15"), (2, "unpause"), (9, "stop"), (12, "die", "143"), (99, "start"), (101, "restart")],
        [],
    ),
    "docker restart three times at once": (THREE_RESTARTS_AT_ONCE, []),
    "docker restart -s INT": ([(2, "kill", "2"), (50, "stop"), (54, "die", "130"), (300, "start")], []),
    "a crash long after a reload": ([(0, "kill", "1"), (60_000, "die", "1")], ["+ContainerDied"]),
    "a stop signal of its own": ([(0, "kill", "28"), (700, "stop"), (704, "die", "1")], []),
    "a kill with a stop signal of its own": ([(0, "kill", "37"), (700, "die", "130")], []),
    "a crash after a restart": (
        [*RESTART_AFTER_TERM, (5000, "die", "2")],
        ["+ContainerDied"],
    ),
    "docker restart of one that crashed": (
        [(0, "die", "1"), (9000, "start"), (9003, "restart")],
        ["+ContainerDied", "-ContainerDied"],
    ),
    "docker stop in the pause before a restart by policy": (
        [(0, "die", "1"), (500, "stop")],
        ["+ContainerDied", "-ContainerDied"],
    ),
    "docker restart in that pause": (
        [(0, "die", "1"), (500, "stop"), (900, "start"), (903, "restart")],
        ["+ContainerDied", "-ContainerDied"],
    ),
    "a crash with --rm": ([(0, "die", "1"), (100, "destroy")], ["+ContainerDied", "-ContainerDied"]),
    "unhealthy and healthy": (
        [
            (0, "health_status", "unhealthy"),
            (5000, "health_status", "unhealthy"),
            (9000, "health_status", "healthy"),
        ],
        ["+ContainerUnhealthy", "-ContainerUnhealthy"],
    ),
    "unhealthy and restarted": (
        [(-3000, "health_status", "unhealthy"), *RESTART_AFTER_TERM],
        ["+ContainerUnhealthy", "-ContainerUnhealthy"],
    ),
    "unhealthy and crashed": (
        [(0, "health_status", "unhealthy"), (900, "die", "1"), (1200, "start")],
        ["+ContainerUnhealthy", "-ContainerUnhealthy", "+ContainerDied", "-ContainerDied"],
    ),
    "unhealthy and removed": (
        [(0, "health_status", "unhealthy"), (900, "destroy")],
        ["+ContainerUnhealthy", "-ContainerUnhealthy"],
    ),
    "killed for memory": (
        [(0, "oom"), (30, "die", "137")],
        ["+ContainerOOM", "+ContainerDied"],
    ),
    "killed for memory, told twice": (
        [(0, "oom"), (1, "oom"), (30, "die", "137"), (400, "start")],
        ["+ContainerOOM", "+ContainerDied", "-ContainerDied", "-ContainerOOM"],
    ),
    "killed for memory, told after the death": (
        [(0, "die", "137"), (8, "oom")],
        ["+ContainerDied", "+ContainerOOM"],
    ),
    "a child killed for memory": ([(0, "oom"), (20_000, "pause")], ["+ContainerChildOOM"]),
    "a child killed for memory, and an end of its own": (
        [(0, "oom"), (300, "die", "3")],
        ["+ContainerDied"],
    ),
    "a child killed for memory, and a restart": (
        [(-9000, "oom"), *RESTART_AFTER_TERM],
        ["+ContainerChildOOM", "-ContainerChildOOM"],
    ),
    "nothing of it": ([(0, "create"), (1, "attach"), (2, "exec_die", "1"), (3, "update"), (4, "top")], []),
}


@pytest.mark.parametrize("case", CASES)
def test_each_order_of_events_means_what_it_means(case: str) -> None:
    events, expected = CASES[case]
    assert words(heard(ContainerWatch(), events)) == expected


@pytest.mark.parametrize("case", CASES)
def test_what_is_told_twice_means_nothing_the_second_time(case: str) -> None:
    events, expected = CASES[case]
    watch = ContainerWatch()
    signals: list[Signal] = []
    for each in events:
        again = event(each[0], each[1], each[2] if len(each) > 2 else "")
        signals += watch.tick(at(each[0])) + watch.hear(again) + watch.hear(again)
    signals += watch.tick(at(events[-1][0] + 3000))
    assert words(signals) == expected


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("cut", range(4))
def test_a_watch_goes_on_where_one_before_it_was(case: str, cut: int) -> None:
    events, expected = CASES[case]
    before = ContainerWatch()
    signals: list[Signal] = []
    for each in events[:cut]:
        signals += before.tick(at(each[0]))
        signals += before.hear(event(each[0], each[1], each[2] if len(each) > 2 else ""))
    state = from_json(msgspec.json.encode(before.state), WatchState)
    # The Engine tells the last event once more.
    signals += heard(ContainerWatch(state), events[max(0, min(cut, len(events)) - 1) :])
    assert words(signals) == expected


def crashes(count: int, pause_ms: float = 1000, begin_ms: float = 0) -> list[Told]:
    """Return so many deaths, each with a start by policy behind it."""
    moments = [begin_ms + n * pause_ms for n in range(count)]
    return [told for ms in moments for told in ((ms, "die", "1"), (ms + 300, "start"))]


def loops(signals: list[Signal]) -> list[str]:
    return words(each for each in signals if each.name == "ContainerRestartLoop")


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (crashes(4), []),
        (crashes(5), ["+"]),
        (crashes(9), ["+"]),
        (crashes(5, pause_ms=80_000), []),
        ([*crashes(5), (9000, "pause"), *crashes(1, begin_ms=310_000)], ["+", "-"]),
        ([*crashes(5), (9000, "stop")], ["+", "-"]),
        ([*crashes(5), (9000, "stop"), (9100, "start"), (9103, "restart")], ["+", "-"]),
        # A restart by hand of a crashed container has the same start, and is no policy's.
        ([*crashes(4), (8000, "die", "1"), (9000, "start"), (9003, "restart")], []),
        ([*crashes(5), (9000, "destroy")], ["+", "-"]),
        (
            [
                told
                for n in range(9)
                for told in ((n * 1000, "kill", "15"), (n * 1000 + 9, "die", "1"), (n * 1000 + 99, "start"))
            ],
            [],
        ),
    ],
)
def test_a_loop_is_so_many_starts_by_policy_within_the_window(
    events: list[Told], expected: list[str]
) -> None:
    found = loops(heard(ContainerWatch(limits=LoopLimits(5, 300)), events))
    assert found == [sign + "ContainerRestartLoop" for sign in expected]


def test_a_loop_is_over_when_the_container_ran_on_for_the_window() -> None:
    watch = ContainerWatch(limits=LoopLimits(3, 60))
    assert loops(heard(watch, crashes(3))) == ["+ContainerRestartLoop"]
    assert watch.waiting
    assert loops(watch.tick(at(50_000))) == []
    assert loops(watch.tick(at(63_000))) == ["-ContainerRestartLoop"]
    assert not watch.waiting


def test_starts_of_a_container_without_restart_policy_are_no_loop() -> None:
    watch = ContainerWatch()
    watch.look([replace(WEB, restart_policy="no")], at(0))
    assert loops(heard(watch, crashes(9))) == []


def test_a_signal_has_the_engines_time_and_the_labels_of_the_series() -> None:
    (signal,) = heard(ContainerWatch(), [(1234, "die", "3")])
    assert signal.starts_at == at(1234) / 10**9
    assert signal.labels == {
        "alertname": "ContainerDied",
        "name": "web",
        "id": ID[:12],
        "compose_project": "shop",
        "compose_service": "web",
        "image": "web:1",
        "exit_code": "3",
    }
    assert signal.annotations == {"summary": "container web died with exit code 3"}


def test_nothing_is_told_of_one_off_containers() -> None:
    watch = ContainerWatch()
    assert watch.hear(event(0, "die", "1", **{"com.docker.compose.oneoff": "True"})) == []
    one_off = replace(WEB, health="unhealthy", labels={"com.docker.compose.oneoff": "True"})
    assert watch.look([one_off], at(99_000)) == []


def test_a_renamed_container_is_told_of_under_its_new_name() -> None:
    watch = ContainerWatch()
    watch.hear(event(0, "die", "9"))
    moved = watch.hear(event(500, "rename", name="shop", oldName="/web"))
    assert words(moved) == ["-ContainerDied", "+ContainerDied"]
    assert [each.labels["name"] for each in moved] == ["web", "shop"]
    assert moved[1].labels["exit_code"] == "9"
    assert moved[1].starts_at == at(0) / 10**9
    (ended,) = watch.hear(event(900, "start", name="shop"))
    assert ended.fingerprint == moved[1].fingerprint


def test_a_look_tells_what_no_event_told_and_only_once() -> None:
    watch = ContainerWatch()
    sick = replace(WEB, health="unhealthy")
    assert words(watch.look([sick], at(0))) == ["+ContainerUnhealthy"]
    assert watch.look([sick], at(60_000)) == []
    resumed = ContainerWatch(from_json(json.dumps(msgspec.to_builtins(watch.state)), WatchState))
    assert resumed.look([sick], at(90_000)) == []
    assert words(resumed.look([replace(WEB, health="healthy")], at(99_000))) == ["-ContainerUnhealthy"]


@pytest.mark.parametrize(
    ("events", "seen", "expected"),
    [
        ([(0, "die", "1")], [WEB], ["-ContainerDied"]),
        ([(0, "die", "1")], [replace(WEB, state="exited", pid=0)], []),
        ([(0, "die", "1")], [], ["-ContainerDied"]),
        ([(0, "oom"), (4000, "pause")], [replace(WEB, oom_killed=True)], []),
        ([(0, "oom"), (4000, "pause")], [WEB], ["-ContainerChildOOM"]),
        ([(0, "health_status", "unhealthy")], [WEB], ["-ContainerUnhealthy"]),
        ([(0, "health_status", "unhealthy")], [replace(WEB, health="unhealthy")], []),
        # Nothing tells whether somebody stopped it.
        ([(0, "start")], [replace(WEB, state="exited", exit_code=1)], []),
    ],
)
def test_a_look_ends_what_is_no_longer_so(
    events: list[Told], seen: list[Container], expected: list[str]
) -> None:
    watch = ContainerWatch()
    heard(watch, events)
    assert words(watch.look(seen, at(20_000))) == expected


def test_a_look_does_not_contradict_an_event_whose_inspect_is_under_way() -> None:
    watch = ContainerWatch()
    watch.look([WEB], at(0))
    watch.hear(event(1000, "health_status", "unhealthy"))
    assert watch.look([WEB], at(2000)) == []
    assert watch.look([replace(WEB)], at(3000)) == []  # another inspect, but perhaps from before
    assert watch.look([WEB], at(60_000)) == []  # nothing new was seen since
    assert words(watch.look([replace(WEB)], at(60_000))) == ["-ContainerUnhealthy"]


def test_nothing_is_kept_of_containers_of_which_nothing_matters() -> None:
    watch = ContainerWatch()
    heard(watch, [(0, "start")])
    for n in range(50):
        watch.hear(event(n, "start", container_id=f"{n:064x}"))
        watch.hear(event(n + 0.5, "destroy", container_id=f"{n:064x}"))
    watch.look([WEB], at(90_000))
    assert watch.state.containers == {}
    assert len(watch.state.recent) == 64


def test_a_death_without_exit_code_is_no_error() -> None:
    assert ContainerWatch().hear(event(0, "die", "none")) == []
