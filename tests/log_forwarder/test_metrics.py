from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from compose_agent.role import ConfigState
from log_forwarder.deadletters import DeadLetters
from log_forwarder.event import Event
from log_forwarder.keeper import Keeper, SinkBooks
from log_forwarder.lane import Arrival, Lane
from log_forwarder.latency import Latency
from log_forwarder.metrics import ForwarderMetrics, SpoolUse
from log_forwarder.outbox import Outbox
from log_forwarder.sources.chain import Chain
from log_forwarder.sources.jsonfile import JsonFile
from log_forwarder.spool import Spool
from log_forwarder.store import Store
from tests.log_forwarder.dockerlog import DockerLog
from tests.log_forwarder.making import ID, Names, RequestMemory, container, moment, until

PARSERS: dict[bool, Any] = {False: parse_text, True: parse_openmetrics}


class Watched:
    """Lanes by name, one log in each."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.latencies = {name: Latency() for name in names}
        self.sinks = {name: RequestMemory() for name in names}
        self.store = Store(folder / "state")
        self.keeper = Keeper(self.store)
        self.copies = Spool(self.store, 1_000_000)
        self.letters = DeadLetters(folder)
        self.log = DockerLog(folder / "c")
        self.chain = Chain(self.log.path, JsonFile(), Names())
        self.found = [(self._lane(name), self.latencies[name]) for name in names]

    def lanes(self) -> Sequence[tuple[Lane, Latency]]:
        return self.found

    def followed(self) -> int:
        return 3

    def spool(self) -> SpoolUse:
        return self.copies

    def dead_letters(self) -> Path:
        return self.letters.path

    def stop(self) -> None:
        for lane, _ in self.found:
            lane.stop(5.0)
        self.chain.close()

    def _lane(self, name: str) -> Lane:
        outbox = Outbox(1_000_000, observe=self.latencies[name].observe)
        lane = Lane(
            name,
            self.sinks[name],
            outbox,
            books=SinkBooks(name, self.keeper),
            letters=self.letters,
        )
        labels = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
        lane.add(Arrival(container(labels=labels), self.chain, JsonFile(), from_now=False))
        return lane


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path, "es", 'odd "name"\\')
    watched.log.append(b"junk\n")
    watched.log.line("a")
    watched.log.line("b")
    watched.chain.look()
    for lane, _ in watched.found:
        lane.start()
    yield watched
    watched.stop()


def samples(
    metrics: ForwarderMetrics, *, openmetrics: bool
) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text = metrics.text(openmetrics=openmetrics).decode()
    families: Iterable[Metric] = PARSERS[openmetrics](text)
    found = [sample for family in families for sample in family.samples]
    by_key = {(each.name, frozenset(each.labels.items())): each.value for each in found}
    assert len(by_key) == len(found), "a series stands there twice"
    return by_key


@pytest.mark.parametrize("openmetrics", [False, True])
def test_every_lane_tells_what_became_of_its_lines(watched: Watched, openmetrics: bool) -> None:
    for lane, _ in watched.found:
        # What is sent is counted first, then its latency, and last it is no more on its way.
        until(lambda lane=lane: lane.outbox.tally().sent == 2)  # type: ignore[misc]
        until(lambda lane=lane: [each.unsettled for each in lane.standings()] == [0])  # type: ignore[misc]
        lane.outbox.drop(5, "filtered")
    metrics = ForwarderMetrics(ConfigState(), watched)
    found = samples(metrics, openmetrics=openmetrics)
    for name in watched.sinks:
        sink = ("sink", name)
        of = frozenset({sink})
        assert found["log_forwarder_read_events_total", of] == 7
        assert found["log_forwarder_sent_events_total", of] == 2
        assert found["log_forwarder_held_events", of] == 0
        assert found["log_forwarder_dead_lettered_events_total", of] == 0
        assert found["log_forwarder_dropped_events_total", frozenset({sink, ("reason", "filtered")})] == 5
        assert found["log_forwarder_sink_up", of] == 1
        assert found["log_forwarder_corrupt_records_total", of] == 1
        assert found["log_forwarder_gaps_total", of] == 0
        assert found["log_forwarder_delivery_latency_seconds_count", of] == 2
        where = {
            ("name", "shop-web-1"),
            ("id", ID[:12]),
            ("compose_project", "shop"),
            ("compose_service", "web"),
        }
        assert found["log_forwarder_lag_bytes", frozenset({sink, *where})] == 0
        assert found["log_forwarder_oldest_unconfirmed_seconds", frozenset({sink, *where})] == 0


def test_a_sink_that_fails_is_down_with_its_reason(watched: Watched) -> None:
    lane, _ = watched.found[0]
    until(lambda: lane.outbox.tally().sent == 2)
    lane.health.error = "gone"
    lane.health.failures["unavailable"] += 2
    found = samples(ForwarderMetrics(ConfigState(), watched), openmetrics=True)
    of = frozenset({("sink", "es")})
    reason = frozenset({("sink", "es"), ("reason", "unavailable")})
    assert found["log_forwarder_sink_failures_total", reason] == 2
    assert found["log_forwarder_sink_up", of] == 0


def test_the_configuration_and_the_program_are_told(watched: Watched) -> None:
    state = ConfigState()
    state.applied(7)
    metrics = ForwarderMetrics(state, watched)
    state.refused()
    found = samples(metrics, openmetrics=True)
    assert found["log_forwarder_config_revision", frozenset()] == 7
    assert found["log_forwarder_config_last_reload_successful", frozenset()] == 0
    assert found["log_forwarder_containers", frozenset()] == 3
    assert any(name == "log_forwarder_build_info" for name, _ in found)


@pytest.mark.parametrize("openmetrics", [False, True])
def test_what_lies_on_disk_is_told(watched: Watched, openmetrics: bool) -> None:
    metrics = ForwarderMetrics(ConfigState(), watched)
    before = samples(metrics, openmetrics=openmetrics)
    assert before["log_forwarder_spool_bytes", frozenset()] == 0
    assert before["log_forwarder_spool_limit_bytes", frozenset()] == 1_000_000
    assert before["log_forwarder_spool_rescued_bytes_total", frozenset()] == 0
    assert before["log_forwarder_dead_letters_bytes", frozenset()] == 0
    generation = watched.chain.generations[0]
    size = generation.end()
    assert watched.copies.rescue(container(), watched.chain, generation, 0)
    event = Event("x", "stdout", moment(1), id="1")
    watched.letters.put("es", container(), event, "no", threading.Event())
    after = samples(metrics, openmetrics=openmetrics)
    assert after["log_forwarder_spool_bytes", frozenset()] == size
    assert after["log_forwarder_spool_rescued_bytes_total", frozenset()] == size
    assert after["log_forwarder_dead_letters_bytes", frozenset()] == watched.letters.path.stat().st_size > 0
    watched.copies.remove(ID, watched.copies.of(ID)[0])
    end = samples(metrics, openmetrics=openmetrics)
    assert end["log_forwarder_spool_bytes", frozenset()] == 0
    assert end["log_forwarder_spool_rescued_bytes_total", frozenset()] == size


def test_without_lanes_there_is_still_an_answer(tmp_path: Path) -> None:
    found = samples(ForwarderMetrics(ConfigState(), Watched(tmp_path)), openmetrics=False)
    assert found["log_forwarder_config_revision", frozenset()] == 1
    assert not any(name == "log_forwarder_sink_up" for name, _ in found)
