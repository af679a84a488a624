from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from pathlib import Path

import pytest

from compose_agent.dockerd.inventory import Link
from compose_agent.dockerd.model import NUMBER_LABEL, PROJECT_LABEL, SERVICE_LABEL, Container, Engine
from compose_agent.dockerd.overview import ContainerRow, HostOverview, Observer, Order, Overview, View, words
from compose_agent.dockerd.overview.build import host_overview, row
from compose_agent.dockerd.overview.model import meanings
from compose_agent.dockerd.overview.observer import Clocks
from compose_agent.dockerd.overview.order import COLUMNS, STATE_FILTERS
from compose_agent.dockerd.overview.rates import UNKNOWN, RateMeter, Rates, Reading, rates_between
from compose_agent.dockerd.overview.wire import from_json, to_json
from compose_agent.dockerd.usage import DeviceIO, InterfaceIO, Readings, Sample
from compose_agent.dockerd.usage.host import HostSample, busy_ratio, read_host
from compose_agent.errors import ComposeAgentError

NOW = 1_800_000_000.0
MIB = 1024 * 1024


def container(name: str = "shop-web-1", **changes: object) -> Container:
    project, _, rest = name.partition("-")
    service, _, number = rest.rpartition("-")
    labels = {PROJECT_LABEL: project, SERVICE_LABEL: service, NUMBER_LABEL: number} if service else {}
    base = Container(
        id=name.encode().hex().ljust(64, "0"),
        name=name,
        image="nginx:1",
        image_id="sha256:1",
        state="running",
        pid=100,
        started_at=NOW - 60,
        labels=labels,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def sample(cpu: float = 0.0, rx: int = 0, tx: int = 0, read: int = 0, written: int = 0) -> Sample:
    return Sample(
        cpu_seconds=cpu,
        cpu_user_seconds=None,
        cpu_system_seconds=None,
        cpu_periods=None,
        cpu_throttled_periods=None,
        cpu_throttled_seconds=None,
        memory_bytes=20 * MIB,
        working_set_bytes=16 * MIB,
        rss_bytes=None,
        cache_bytes=None,
        swap_bytes=None,
        pids=3,
        networks={"eth0": InterfaceIO(rx, 0, 0, 0, tx, 0, 0, 0)},
        devices={"sda": DeviceIO(read, written, None, None)},
    )


def a_row(name: str = "shop-web-1", rates: Rates = UNKNOWN, **changes: object) -> ContainerRow:
    return row(container(name, **changes), sample(), rates, NOW)


def reading(at: float, *samples: Sample, started: float = 1.0) -> Reading:
    ids = [f"c{n}" for n in range(len(samples))]
    runs = dict.fromkeys(ids, (1, started))
    return Reading(at, runs, dict(zip(ids, samples, strict=True)), None)


def test_rates_are_growth_over_time() -> None:
    before = reading(10.0, sample(cpu=1.0, rx=1000, tx=2000, read=300, written=0))
    after = reading(12.0, sample(cpu=4.0, rx=3000, tx=2000, read=900, written=50))
    assert rates_between(before, after) == {"c0": Rates(1.5, 1000.0, 0.0, 300.0, 25.0)}


def test_a_counter_that_went_back_has_no_rate_and_costs_no_other() -> None:
    before = reading(10.0, sample(cpu=4.0, rx=5000, read=100))
    after = reading(11.0, sample(cpu=1.0, rx=10, read=200))
    assert rates_between(before, after)["c0"] == Rates(None, None, 0.0, 100.0, 0.0)


def test_another_run_of_a_container_has_no_rates() -> None:
    before, after = reading(10.0, sample(cpu=1.0)), reading(11.0, sample(cpu=2.0), started=2.0)
    assert rates_between(before, after) == {}


def test_a_container_that_was_not_there_before_has_no_rates() -> None:
    assert rates_between(reading(10.0), reading(11.0, sample())) == {}


def test_an_interface_that_came_counts_from_its_beginning_and_one_that_went_not_at_all() -> None:
    first, second = sample(rx=7000), sample()
    second = second._replace(networks={"eth1": InterfaceIO(500, 0, 0, 0, 100, 0, 0, 0)})
    found = rates_between(reading(0.0, first), reading(1.0, second))["c0"]
    assert (found.receive_bytes, found.transmit_bytes) == (500.0, 100.0)


def test_without_interfaces_and_devices_of_its_own_rates_are_unknown_not_0() -> None:
    bare = sample()._replace(networks=None, devices={})
    found = rates_between(reading(0.0, bare), reading(1.0, bare))["c0"]
    assert found == Rates(0.0, None, None, None, None)


@pytest.mark.parametrize(
    ("kept", "now", "base"),
    [
        ([], 100.0, None),
        ([99.8], 100.0, None),
        ([99.5], 100.0, 99.5),
        ([98.0, 98.6, 99.4], 100.0, 98.6),
        ([99.0, 99.6], 100.0, 99.0),
        ([80.0, 89.9], 100.0, None),
        ([89.9, 95.0], 100.0, 95.0),
    ],
)
def test_the_base_is_the_newest_steady_reading(kept: list[float], now: float, base: float | None) -> None:
    meter = RateMeter()
    for at in kept:
        meter.keep(reading(at))
    found = meter.base(now)
    assert (found.at if found else None) == base


def test_readings_of_many_viewers_do_not_fill_the_memory() -> None:
    meter = RateMeter()
    for n in range(10_000):
        meter.keep(reading(n * 0.01))
    assert len(meter._kept) <= 21


def test_a_row_says_what_container_sample_and_rates_say() -> None:
    limited = container(cpu_limit_cores=0.5, memory_limit_bytes=64 * MIB, restart_count=2, oom_kills=1)
    found = row(limited, sample(), Rates(0.25, 1.0, 2.0, 3.0, 4.0), NOW)
    assert found.id == limited.id[:12]
    assert (found.project, found.service, found.number) == ("shop", "web", "1")
    assert (found.uptime_seconds, found.restarts, found.oom_kills, found.pids) == (60.0, 2, 1, 3)
    assert (found.cpu_cores, found.cpu_limit_ratio) == (0.25, 0.5)
    assert (found.memory_working_set_bytes, found.memory_limit_ratio) == (16 * MIB, 0.25)


def test_a_container_that_ended_has_no_usage_and_no_uptime() -> None:
    found = row(container(state="exited", pid=0, exit_code=3, finished_at=NOW - 5), None, UNKNOWN, NOW)
    assert (found.uptime_seconds, found.cpu_cores, found.memory_working_set_bytes) == (None, None, None)
    assert (found.exit_code, words.lifetime(found, NOW)) == (3, "5 s ago")


def test_the_host_counts_its_containers() -> None:
    rows = [a_row(), a_row("shop-web-2", health="unhealthy"), a_row("x", state="exited", health="unhealthy")]
    host = host_overview(
        Engine(name="h", cpus=4, memory_bytes=7), Link(True), rows, None, None, complete=True
    )
    assert host.containers_by_state["running"] == 2
    assert host.containers_by_state["dead"] == 0
    assert host.unhealthy == 1
    assert (host.memory_total_bytes, host.memory_used_bytes, host.load1) == (7, None, None)


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({}, "ok"),
        ({"health": "healthy"}, "ok"),
        ({"health": "starting"}, "warn"),
        ({"health": "unhealthy"}, "bad"),
        ({"restart_count": 3, "started_at": NOW - 5}, "warn"),
        ({"restart_count": 3, "started_at": NOW - 3600}, "ok"),
        ({"state": "paused"}, "warn"),
        ({"state": "restarting", "exit_code": 1}, "bad"),
        ({"state": "dead"}, "bad"),
        ({"state": "created"}, "idle"),
        ({"state": "exited", "exit_code": 0}, "idle"),
        ({"state": "exited", "exit_code": 143}, "idle"),
        ({"state": "exited", "exit_code": 137}, "warn"),
        ({"state": "exited", "exit_code": 3}, "bad"),
    ],
)
def test_a_level_says_how_much_a_container_needs_a_person(changes: dict[str, object], level: str) -> None:
    assert words.level(a_row(**changes)) == level  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "running"),
        ({"health": "unhealthy"}, "running, unhealthy"),
        ({"restart_count": 3, "started_at": NOW - 5}, "running, restarted"),
        ({"state": "exited", "exit_code": 3}, "exited, code 3"),
        ({"state": "exited", "exit_code": 137}, "exited, code 137 (SIGKILL)"),
        ({"state": "exited", "exit_code": 127}, "exited, code 127 (not found)"),
        ({"state": "exited", "exit_code": 255}, "exited, code 255"),
        ({"state": "exited", "exit_code": 1, "health": "unhealthy"}, "exited, code 1"),
    ],
)
def test_a_state_is_said_in_words(changes: dict[str, object], said: str) -> None:
    assert words.state_words(a_row(**changes)) == said  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("say", "value", "said"),
    [
        (words.size, None, "–"),  # noqa: RUF001
        (words.size, 0, "0 B"),
        (words.size, 1023, "1023 B"),
        (words.size, 1024, "1.0 KiB"),
        (words.size, 28.94 * MIB, "28.9 MiB"),
        (words.size, 1023.99 * 1024, "1.0 MiB"),
        (words.size, 150.2 * MIB, "150 MiB"),
        (words.plain_size, 32 * MIB, "32 MiB"),
        (words.plain_size, 1.5 * MIB, "1.5 MiB"),
        (words.rate, 0.2, "0"),
        (words.rate, 1234, "1.2 kB/s"),
        (words.rate, 999_990, "1.0 MB/s"),
        (words.percent, 0.0, "0.0 %"),
        (words.percent, 0.1234, "12.3 %"),
        (words.percent, 3.5, "350 %"),
        (words.plain_percent, 0.05, "5 %"),
        (words.duration, 59.9, "59 s"),
        (words.duration, 3599, "59 min"),
        (words.duration, 3600, "1 h"),
        (words.duration, 12_000, "3 h 20 min"),
        (words.duration, 5 * 86400 + 4 * 3600, "5 d 4 h"),
    ],
)
def test_values_are_said_as_people_read_them(
    say: Callable[[float | None], str], value: float, said: str
) -> None:
    assert say(value) == said


def names(rows: Iterable[ContainerRow]) -> list[str]:
    return [each.name for each in rows]


def test_numbers_in_names_sort_as_numbers() -> None:
    rows = [a_row("shop-web-10"), a_row("shop-web-2"), a_row("plain"), a_row("app-db-1")]
    assert names(View().of(rows)) == ["app-db-1", "shop-web-2", "shop-web-10", "plain"]


@pytest.mark.parametrize("text", ["cpu", "-cpu"])
def test_what_is_unknown_comes_last_either_way(text: str) -> None:
    rows = [a_row("unknown"), a_row("busy", Rates(cpu_cores=2.0)), a_row("calm", Rates(cpu_cores=0.1))]
    expected = ["busy", "calm"] if text == "-cpu" else ["calm", "busy"]
    assert names(View(Order.parse(text)).of(rows)) == [*expected, "unknown"]


def test_sorting_by_state_begins_with_what_needs_a_look() -> None:
    rows = [
        a_row("fine"),
        a_row("ended", state="exited", exit_code=0),
        a_row("held", state="paused"),
        a_row("sick", health="unhealthy"),
    ]
    assert names(View(Order("state")).of(rows)) == ["sick", "held", "fine", "ended"]


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("sign", ["", "-"])
def test_every_column_sorts_whatever_is_there(column: str, sign: str) -> None:
    rows = [
        a_row("shop-web-1", Rates(0.1, 1.0, 2.0, 3.0, 4.0), cpu_limit_cores=1.0, memory_limit_bytes=MIB),
        a_row("9" * 5000, health="healthy"),
        row(container("ended", state="exited", pid=0, exit_code=1), None, UNKNOWN, NOW),
        a_row("²-³", started_at=None),
    ]
    assert sorted(names(View(Order.parse(sign + column)).of(rows))) == sorted(names(rows))


def test_an_unknown_column_is_answered_with_the_valid_ones() -> None:
    with pytest.raises(ValueError, match="cannot sort by 'size': choose one of project, name"):
        Order.parse("-size")


@pytest.mark.parametrize(
    ("view", "found"),
    [
        (View(text="WEB"), ["shop-web-1"]),
        (View(text="shop running"), ["shop-web-1"]),
        (View(text="postgres:7"), ["shop-db-1"]),
        (View(text="nothing"), []),
        (View(state="exited"), ["shop-db-1"]),
        (View(state="running"), ["shop-web-1", "lonely"]),
        (View(state="unhealthy"), ["lonely"]),
        (View(state="problem"), ["shop-db-1", "lonely"]),
        (View(text="unhealthy"), ["lonely"]),
    ],
)
def test_rows_are_filtered_by_words_and_state(view: View, found: list[str]) -> None:
    rows = [
        a_row(),
        a_row("shop-db-1", image="postgres:7", state="exited", exit_code=1, health="unhealthy"),
        a_row("lonely", health="unhealthy"),
    ]
    assert names(view.of(rows)) == found


@pytest.mark.parametrize("state", STATE_FILTERS)
def test_every_state_can_be_filtered_by(state: str) -> None:
    rows = [a_row(state=each) for each in STATE_FILTERS if each not in ("unhealthy", "problem")]
    rows.append(a_row("sick", health="unhealthy"))
    assert View(state=state).of(rows)


class World:
    """An inventory, a usage reader and clocks that a test moves."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept: list[float] = []
        self.reads = 0
        self.all = (container(),)
        self.seen = Link(True, NOW - 30, "")

    def containers(self) -> tuple[Container, ...]:
        return self.all

    def engine(self) -> Engine:
        return Engine(name="box", version="28.5.2", cpus=2, memory_bytes=8 * MIB)

    def link(self) -> Link:
        return self.seen

    def wait_complete(self, timeout: float) -> bool:
        return True

    def read(self, containers: Iterable[Container], timeout: float) -> Readings:
        self.reads += 1
        return Readings({each.id: sample(cpu=self.time / 2) for each in containers}, {})

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    def observer(self, procfs: Path | None = None) -> Observer:
        clocks = Clocks(lambda: NOW, lambda: self.time, self.sleep)
        return Observer(self, self, procfs, clocks)


def test_the_first_look_waits_for_a_second_reading_and_later_ones_do_not() -> None:
    world = World()
    observer = world.observer()
    first = observer.overview()
    assert world.slept == [0.5]
    assert first.containers[0].cpu_cores == pytest.approx(0.5)
    world.time += 2.0
    assert observer.overview().containers[0].cpu_cores == pytest.approx(0.5)
    assert (world.slept, world.reads) == ([0.5], 3)


def test_looks_at_the_same_moment_share_a_reading() -> None:
    world = World()
    observer = world.observer()
    first = observer.overview()
    world.time += 0.4
    assert observer.overview() is first
    assert world.reads == 2


def test_a_look_after_a_long_time_is_a_first_look_again() -> None:
    world = World()
    observer = world.observer()
    observer.overview()
    world.time += 60.0
    observer.overview()
    assert world.slept == [0.5, 0.5]


def test_a_lost_engine_leaves_its_last_word_with_the_reason() -> None:
    world = World()
    world.seen = Link(False, NOW - 9, "no Engine at unix:///x (gone)")
    found = world.observer().overview()
    assert (found.host.up, found.host.error) == (False, "no Engine at unix:///x (gone)")
    assert len(found.containers) == 1


def test_a_host_whose_files_cannot_be_read_is_what_the_engine_says(tmp_path: Path) -> None:
    host = World().observer(tmp_path).overview().host
    assert (host.cpus, host.memory_total_bytes, host.cpu_busy_ratio, host.load1) == (2, 8 * MIB, None, None)


def proc(folder: Path, user: int, idle: int) -> Path:
    (folder / "stat").write_text(f"cpu  {user} 0 0 {idle} 0 0 0 0 0 0\ncpu0 1 2 3\n")
    (folder / "meminfo").write_text("MemTotal:  8 kB\nMemFree:  1 kB\nMemAvailable:  2 kB\n")
    (folder / "loadavg").write_text("0.50 1.25 2.00 1/100 4242\n")
    return folder


def test_the_hosts_files_are_read(tmp_path: Path) -> None:
    found = read_host(proc(tmp_path, 300, 700))
    assert found == HostSample(found.cpu_seconds, 8192, 2048, (0.5, 1.25, 2.0))
    assert sum(found.cpu_seconds.values()) == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("before", "after", "busy"),
    [
        ({"user": 1.0, "idle": 1.0}, {"user": 2.0, "idle": 4.0}, 0.25),
        ({"user": 1.0, "idle": 1.0}, {"user": 1.0, "idle": 1.0}, None),
        ({"user": 1.0, "iowait": 1.0}, {"user": 2.0, "iowait": 0.9}, 1.0),
    ],
)
def test_the_hosts_cpu_is_busy_when_it_is_not_idle(
    before: dict[str, float], after: dict[str, float], busy: float | None
) -> None:
    assert busy_ratio(before, after) == (None if busy is None else pytest.approx(busy))


def test_the_json_form_is_read_back_as_it_was() -> None:
    overview = World().observer().overview()
    assert from_json(json.loads(json.dumps(to_json(overview)))) == overview


def test_a_newer_agents_keys_are_passed_over() -> None:
    document = to_json(World().observer().overview())
    document["containers"][0]["gpu_cores"] = 1
    assert from_json(document).containers[0].name == "shop-web-1"


@pytest.mark.parametrize("document", [None, [], {}, {"timestamp_seconds": 1, "host": {}, "containers": []}])
def test_something_else_is_no_overview(document: object) -> None:
    with pytest.raises(ComposeAgentError, match="no overview of containers"):
        from_json(document)


@pytest.mark.parametrize("kind", [Overview, HostOverview, ContainerRow])
def test_every_key_has_a_meaning(kind: type[Overview | HostOverview | ContainerRow]) -> None:
    assert list(meanings(kind)) == [each.name for each in fields(kind)]
    assert all(meanings(kind).values())
