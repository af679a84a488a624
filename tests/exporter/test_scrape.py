"""Whole scrapes over a made-up world: what a broken part costs, what is served when, what is kept."""

import dataclasses
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from compose_agent.dockerd.inventory import Counts, Link
from compose_agent.dockerd.model import Container
from compose_agent.dockerd.usage import InterfaceIO, Readings
from exporter.collectors import registered
from exporter.families import (
    Collector,
    Family,
    HostCollector,
    InventoryCollector,
    Scrape,
    UsageCollector,
    Values,
)
from exporter.scrape import Scraper
from tests.exporter.build import ETH0, NOTHING, NOW, SAMPLE, World, box, scraper, settings, text, world
from tests.exporter.parsed import names, series, values

A, B = "a" * 64, "b" * 64
SUCCESS = "docker_exporter_collector_success"
DURATION = "docker_exporter_collector_duration_seconds"
KINDS: dict[str, Callable[..., Collector]] = {
    "inventory": InventoryCollector,
    "usage": UsageCollector,
    "host": HostCollector,
}


def collector(kind: str, function: Callable[[Any], Values], name: str = "mine") -> Collector:
    families = (Family(f"t_{name}", "gauge", "Mine."),)
    return KINDS[kind](name=name, help="mine", families=families, make=lambda _: function)


def fails(_: Any) -> Values:
    raise RuntimeError("broken")


def fails_for_b(what: Any) -> Values:
    if getattr(what, "id", "") == B or getattr(what, "pids", 0) == 99:
        raise RuntimeError("broken")
    return (1,)


@pytest.mark.parametrize("openmetrics", [False, True])
def test_all_collectors_together_give_valid_text_in_which_each_family_stands_once(openmetrics: bool) -> None:
    made = scraper(world(box(A, name="web"), box(B, name="db", state="exited", pid=0)))
    whole = text(made, openmetrics=openmetrics)
    assert series(whole)
    assert len(names(whole)) == len(set(names(whole)))
    assert set(values(whole, SUCCESS, "collector").values()) == {1.0}


@pytest.mark.parametrize("openmetrics", [False, True])
def test_a_host_without_containers_is_no_failure(openmetrics: bool) -> None:
    whole = text(scraper(world()), openmetrics=openmetrics)
    assert set(values(whole, SUCCESS, "collector").values()) == {1.0}
    assert values(whole, "docker_containers", "state")["running",] == 0


def test_every_collector_has_its_duration_and_success() -> None:
    whole = text(scraper(world(box())))
    expected = {(each.name,) for each in registered()} | {("usage",)}
    assert values(whole, SUCCESS, "collector").keys() == expected
    assert values(whole, DURATION, "collector").keys() == expected
    assert values(whole, "docker_exporter_scrape_duration_seconds") == {(): 0.0}


def test_durations_are_measured_by_the_clock() -> None:
    ticks = iter(range(1000))
    made = Scraper(
        world(),
        world(),
        settings(),
        collectors=[collector("host", lambda _: (1,)), collector("usage", lambda _: (1,), "two")],
        clock=lambda: float(next(ticks)),
        now=lambda: NOW,
    )
    whole = text(made)
    durations = values(whole, DURATION, "collector")
    assert durations == {("usage",): 2.0, ("mine",): 1.0, ("two",): 1.0}
    assert values(whole, "docker_exporter_scrape_duration_seconds") == {(): 8.0}


@pytest.mark.parametrize("kind", KINDS)
def test_a_collector_that_raises_costs_only_its_own_lines(kind: str) -> None:
    good = [collector(each, lambda _: (7,), f"good_{each}") for each in KINDS]
    whole = text(scraper(world(box(A), box(B)), [good[0], collector(kind, fails), *good[1:]]))
    success = values(whole, SUCCESS, "collector")
    assert success.pop(("mine",)) == 0
    assert set(success.values()) == {1.0}
    assert "t_mine" not in whole
    for each in KINDS:
        assert set(values(whole, f"t_good_{each}").values()) == {7.0}


@pytest.mark.parametrize("kind", ["inventory", "usage"])
def test_a_container_that_a_collector_cannot_take_costs_only_its_lines_there(kind: str) -> None:
    made = world(box(A, name="good"), box(B, name="bad"))
    made.samples = {A: SAMPLE, B: SAMPLE._replace(pids=99)}
    whole = text(scraper(made, [collector(kind, fails_for_b)]))
    assert values(whole, "t_mine", "name") == {("good",): 1.0}
    assert values(whole, SUCCESS, "collector")["mine",] == 0


@pytest.mark.parametrize("wrong", [(), (1, 2), ("5",), ({"a": 1},), (object(),), None, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_a_collector_that_returns_something_else_costs_only_its_own_lines(kind: str, wrong: Any) -> None:
    good = collector("host", lambda _: (7,), "good")
    whole = text(scraper(world(box(A)), [collector(kind, lambda _: wrong), good]))
    assert values(whole, SUCCESS, "collector")["mine",] == 0
    assert values(whole, "t_good") == {(): 7.0}
    assert "t_mine" not in whole


class Broken(World):
    def read(self, *_: object) -> Readings:
        raise OSError(24, "Too many open files")


def test_a_reading_that_fails_whole_leaves_everything_else() -> None:
    whole = text(scraper(Broken((box(A),))))
    success = values(whole, SUCCESS, "collector")
    assert success.pop(("usage",)) == 0
    assert set(success.values()) == {1.0}
    assert values(whole, "docker_container_state", "state")["running",] == 1
    assert "docker_container_cpu" not in whole.replace("docker_container_cpu_limit", "")


def test_a_container_that_could_not_be_read_makes_usage_unsuccessful() -> None:
    made = world(box(A))
    made.errors = ("web: no answer",)
    assert values(text(scraper(made)), SUCCESS, "collector")["usage",] == 0


def test_a_container_without_a_sample_has_no_usage_and_is_no_failure() -> None:
    made = world(box(A, name="read"), box(B, name="gone"))
    made.samples = {A: SAMPLE}
    whole = text(scraper(made))
    assert values(whole, "docker_container_pids", "name") == {("read",): 3.0}
    assert values(whole, SUCCESS, "collector")["usage",] == 1
    assert values(whole, "docker_exporter_usage_containers", "source")["none",] == 1


def test_unknown_values_have_no_series() -> None:
    whole = text(scraper(world(box(A), sample=NOTHING)))
    of_usage = {name for name, _ in series(whole) if name.startswith("docker_container_")}
    assert {name for name in of_usage if "cpu" in name} == {"docker_container_cpu_usage_seconds_total"}
    assert not {name for name in of_usage if "memory" in name or "network" in name or "fs" in name}


def test_a_problem_is_logged_when_it_appears_and_not_in_every_scrape(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = True

    def sometimes(_: Any) -> Values:
        return fails(_) if broken else (1,)

    made = scraper(world(), [collector("host", sometimes)])
    said = []
    with caplog.at_level(logging.WARNING):
        for broken in (True, True, False, True):  # noqa: B007 - read by the collector
            text(made)
            said.append(len(caplog.records))
    assert said == [1, 1, 1, 2]
    assert vars(caplog.records[0])["error"] == "mine: RuntimeError broken"


def test_values_of_usage_are_of_this_scrape() -> None:
    made = world(box(A))
    scrapes = scraper(made)
    first = values(text(scrapes), "docker_container_pids")
    made.samples = {A: SAMPLE._replace(pids=44)}
    assert (first, values(text(scrapes), "docker_container_pids")) == ({(): 3.0}, {(): 44.0})


def test_new_interfaces_and_gone_ones_are_seen() -> None:
    made = world(box(A))
    scrapes = scraper(made)
    seen = []
    for interfaces in (["eth0"], ["eth0", "eth1"], ["eth1"], []):
        made.samples = {A: SAMPLE._replace(networks=dict.fromkeys(interfaces, ETH0))}
        found = values(text(scrapes), "docker_container_network_receive_bytes_total", "interface")
        seen.append([name for (name,) in found])
    assert seen == [["eth0"], ["eth0", "eth1"], ["eth1"], []]


def test_counters_follow_when_the_order_of_interfaces_changes() -> None:
    made = world(box(A))
    scrapes = scraper(made)
    one, two = ETH0, InterfaceIO(*(n * 10 for n in ETH0))
    for networks in ({"a": one, "b": two}, {"b": two, "a": one}):
        made.samples = {A: SAMPLE._replace(networks=networks)}
        found = values(text(scrapes), "docker_container_network_transmit_bytes_total", "interface")
        assert found == {("a",): 5.0, ("b",): 50.0}


def test_a_container_that_changed_is_rendered_anew() -> None:
    made = world(box(A, name="old"))
    scrapes = scraper(made)
    text(scrapes)
    made.boxes = (box(A, name="new", state="paused"),)
    whole = text(scrapes)
    assert values(whole, "docker_container_state", "name", "state")["new", "paused"] == 1
    assert "old" not in whole


def test_a_container_that_did_not_change_is_rendered_once_for_each_format() -> None:
    asked: list[Container] = []

    def noted(container: Container) -> Values:
        asked.append(container)
        return (1,)

    scrapes = scraper(world(box(A)), [collector("inventory", noted)])
    for openmetrics in (False, True, False, True):
        text(scrapes, openmetrics=openmetrics)
    assert len(asked) == 2


def test_what_was_prepared_for_a_container_that_is_gone_is_forgotten() -> None:
    made = world(box(A), box(B))
    scrapes = scraper(made)
    text(scrapes)
    made.boxes = (box(B),)
    text(scrapes)
    assert scrapes._texts.keys() == {B}


CREATED = 1_700_000_000.25


def test_created_stands_only_in_openmetrics_and_only_on_lifecycle_counters() -> None:
    scrapes = scraper(world(box(A, created_at=CREATED)))
    assert "_created" not in text(scrapes).replace("docker_container_created_timestamp_seconds", "")
    created = {
        name: value
        for (name, _), value in series(text(scrapes, openmetrics=True)).items()
        if name.endswith("_created")
    }
    assert created == {
        "docker_container_restarts_created": CREATED,
        "docker_container_oom_kills_created": CREATED,
    }


def test_without_a_time_of_creation_there_is_no_created() -> None:
    whole = text(scraper(world(box(A))), openmetrics=True)
    assert not [name for name, _ in series(whole) if name.endswith("_created")]


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (["container-state"], {"container-state"}),
        (["container-pids"], {"container-pids", "usage"}),
        (["engine", "container-cpu"], {"engine", "container-cpu", "usage"}),
    ],
)
def test_only_the_collectors_that_were_asked_for_run(only: list[str], expected: set[str]) -> None:
    whole = text(scraper(world(box(A))), only=only)
    assert {name for (name,) in values(whole, SUCCESS, "collector")} == expected


def test_without_a_collector_of_usage_nothing_is_read_and_no_source_is_claimed() -> None:
    made = world(box(A))
    whole = text(scraper(made), only=["inventory", "container-state"])
    assert made.timeouts == []
    assert "docker_exporter_usage_containers" not in whole


def test_a_collector_that_is_switched_off_has_no_line() -> None:
    made = scraper(world(box(A)), switches={"host": False, "container-cpu": False})
    whole = text(made)
    assert "docker_host_cpu" not in whole
    assert "docker_container_cpu_usage" not in whole
    assert "host" not in made.names()


@pytest.mark.parametrize(
    ("up", "since", "connected", "known"),
    [
        (True, 0.0, 1, True),
        (False, NOW - 59, 1, True),
        (False, NOW - 60, 1, True),
        (False, NOW - 61, 1, False),
        (False, NOW, 0, False),
        (False, NOW - 61, 0, False),
    ],
)
def test_the_engines_last_word_counts_for_a_while_and_what_files_say_goes_on(
    up: bool, since: float, connected: int, known: bool
) -> None:
    made = world(box(A))
    made.state = Link(up=up, since=since, error="" if up else "gone")
    made.counted = Counts(connects=connected)
    whole = text(scraper(made))
    assert values(whole, "docker_up") == {(): float(up)}
    for name in (
        "docker_containers",
        "docker_container_state",
        "docker_container_info",
        "docker_engine_info",
    ):
        assert (name in names(whole)) is known
    assert values(whole, "docker_container_pids") == {(): 3.0}
    assert set(values(whole, SUCCESS, "collector").values()) == {1.0}


def test_the_time_spent_waiting_for_another_scrape_is_part_of_the_timeout() -> None:
    made = world(box(A))
    clock = iter([0.0, 0.0, 4.0, *[4.0] * 100])
    scrapes = Scraper(made, made, settings(), clock=lambda: next(clock), now=lambda: NOW)
    text(scrapes)
    assert made.timeouts == [1.0]


class Counter:
    """A collector's function that remembers."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, _: Scrape) -> Values:
        self.count += 1
        return (self.count,)

    def resume(self, before: object) -> None:
        if isinstance(before, Counter):
            self.count = before.count


def counting(name: str = "mine") -> Collector:
    families = (Family(f"t_{name}_total", "counter", "Mine."),)
    return HostCollector(name=name, help="mine", families=families, make=lambda _: Counter())


def test_a_collector_that_remembers_goes_on_under_a_new_configuration() -> None:
    first = scraper(world(), [counting()])
    text(first)
    text(first)
    second = scraper(world(), [counting(), counting("other")], before=first)
    whole = text(second)
    assert (values(whole, "t_mine_total"), values(whole, "t_other_total")) == ({(): 3.0}, {(): 1.0})


def test_a_collector_that_was_off_before_begins_anew() -> None:
    first = scraper(world(), [collector("host", lambda _: (1,))])
    assert values(text(scraper(world(), [counting("new")], before=first)), "t_new_total") == {(): 1.0}


def test_scrapes_at_once_take_turns_and_are_each_whole() -> None:
    made = world(*(box(f"{n:064x}", name=f"c{n}") for n in range(50)))
    scrapes = scraper(made)
    expected = {openmetrics: text(scrapes, openmetrics=openmetrics) for openmetrics in (False, True)}
    found: list[tuple[bool, str]] = []

    def often(openmetrics: bool) -> None:
        found.extend((openmetrics, text(scrapes, openmetrics=openmetrics)) for _ in range(10))

    threads = [threading.Thread(target=often, args=[n % 2 == 0]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(found) == 40
    assert all(stable(whole) == stable(expected[openmetrics]) for openmetrics, whole in found)


def stable(whole: str) -> list[str]:
    """Return the lines that do not change by themselves."""
    return [line for line in whole.splitlines() if "docker_host" not in line]


HOSTILE = ['a"b', "a\nb", "a\\", "\x00", "\ud800", "%s%d", "x" * 65536, "😀" * 300, "{}=,", "# EOF"]


@pytest.mark.parametrize("openmetrics", [False, True])
def test_hostile_names_and_labels_stay_in_their_quotes(openmetrics: bool) -> None:
    hostile = [
        box(
            f"{n:012x}" + "0" * 52,
            name=each,
            image=each,
            restart_policy=each,
            labels={"com.docker.compose.project": each, "com.docker.compose.service": each, each: each},
        )
        for n, each in enumerate(HOSTILE)
    ]
    made = world(*hostile)
    made.samples = {each.id: SAMPLE._replace(networks={each.name[:20]: ETH0}, devices={}) for each in hostile}
    plain = world(*(dataclasses.replace(each, name="x", image="x", labels={}) for each in hostile))
    whole = text(scraper(made, container_labels="*"), openmetrics=openmetrics)
    count = len(values(whole, "docker_container_state", "id", "state"))
    assert (
        count
        == len(values(text(scraper(plain)), "docker_container_state", "id", "state"))
        == 7 * len(HOSTILE)
    )
    assert len(values(whole, "docker_container_network_receive_bytes_total", "id")) == len(HOSTILE)
    assert set(values(whole, SUCCESS, "collector").values()) == {1.0}
