"""Many containers at once: sources, restarts, ends, hangs."""

import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from compose_agent.dockerd.usage import UsageReader, reader
from compose_agent.errors import EngineNotFound, EngineTimeout
from tests.descriptors import descriptors
from tests.dockerd.usage import trees
from tests.dockerd.usage.test_stats import answer_of
from tests.dockerd.usage.trees import ID, Host, container
from tests.dockerd.watched import until

ANSWER = answer_of("stats-28-v2")
TIMEOUT = 20.0


class Api:
    """The stats call: answers at once, fails, or waits until it is let go."""

    def __init__(self, answer: Mapping[str, Any] | Exception = ANSWER) -> None:
        self.answer = answer
        self.calls: list[str] = []
        self.free = threading.Event()
        self.free.set()

    def __call__(self, container_id: str) -> Mapping[str, Any]:
        self.calls.append(container_id)
        assert self.free.wait(30)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@contextmanager
def reading(host: Host, api: Api | None = None, source: str = "auto") -> Iterator[UsageReader]:
    made = UsageReader(host.mounts, api or Api(AssertionError("not asked")), source=source)
    yield made
    made.close()


def pids(readings: reader.Readings, container_id: str = ID) -> int | None:
    return readings.samples[container_id].pids


def set_pids(host: Host, number: int, path: str = f"/docker/{ID}") -> None:
    host.file(path, "pids/pids.current" if host.version == 1 else "pids.current").write_text(f"{number}\n")


def test_every_reading_is_of_this_moment(host: Host) -> None:
    host.run(f"/docker/{ID}")
    with reading(host) as usage:
        first = usage.read([container()], TIMEOUT)
        set_pids(host, 9)
        second = usage.read([container()], TIMEOUT)
    assert (pids(first), pids(second)) == (3, 9)
    assert second.sources == {"cgroup": 1, "api": 0, "none": 0}


def test_a_restarted_container_is_opened_anew(host: Host) -> None:
    host.run(f"/docker/{ID}")
    with reading(host) as usage:
        usage.read([container()], TIMEOUT)
        path = f"/system.slice/docker-{ID}.scope"
        host.run(path, pid=77)
        set_pids(host, 5, path)
        assert pids(usage.read([container(pid=77)], TIMEOUT)) == 5
        set_pids(host, 6, path)
        assert pids(usage.read([container(pid=77)], TIMEOUT)) == 6


def test_a_second_run_under_the_same_number_is_opened_anew(host: Host) -> None:
    host.run(f"/docker/{ID}")
    with reading(host) as usage:
        usage.read([container()], TIMEOUT)
        name = "pids/pids.current" if host.version == 1 else "pids.current"
        file = host.file(f"/docker/{ID}", name)
        file.unlink()
        file.write_text("8\n")
        assert pids(usage.read([container()], TIMEOUT)) == 3
        assert pids(usage.read([container(started_at=1_700_000_099.0)], TIMEOUT)) == 8


def test_containers_that_do_not_run_are_not_read(host: Host) -> None:
    host.run(f"/docker/{ID}")
    with reading(host) as usage:
        for state in ("created", "restarting", "removing", "exited", "dead"):
            assert usage.read([container(state=state)], TIMEOUT).sources == {"cgroup": 0, "api": 0, "none": 0}
        assert usage.read([container(pid=0)], TIMEOUT).samples == {}
        assert usage.read([container(state="paused")], TIMEOUT).samples.keys() == {ID}


def test_files_of_containers_that_ended_are_closed(host: Host, tmp_path: Path) -> None:
    host.run(f"/docker/{ID}")
    before = descriptors(tmp_path)
    with reading(host) as usage:
        usage.read([container()], TIMEOUT)
        assert descriptors(tmp_path) > before
        usage.read([], TIMEOUT)
        assert descriptors(tmp_path) == before


def test_after_close_nothing_is_read_or_opened(host: Host, tmp_path: Path) -> None:
    host.run(f"/docker/{ID}")
    before = descriptors(tmp_path)
    with reading(host, Api()) as usage:
        usage.read([container()], TIMEOUT)
        usage.close()
        assert usage.read([container()], TIMEOUT).sources == {"cgroup": 0, "api": 0, "none": 1}
    assert descriptors(tmp_path) == before


def test_a_container_that_dies_under_the_reading_is_no_error(v2: Host) -> None:
    v2.run(f"/docker/{ID}")
    process = subprocess.Popen(["sleep", "60"])
    file = v2.file(f"/docker/{ID}", "pids.current")
    file.unlink()
    # Reading it gives a number while the process lives and ESRCH afterwards, as a cgroup's files do.
    file.symlink_to(f"/proc/{process.pid}/oom_score_adj")
    with reading(v2) as usage:
        assert usage.read([container()], TIMEOUT).sources["cgroup"] == 1
        process.kill()
        process.wait()
        gone = usage.read([container()], TIMEOUT)
    assert (gone.samples, gone.errors, gone.sources["none"]) == ({}, (), 1)


def test_a_container_whose_cgroup_was_removed_is_asked_of_the_api(host: Host) -> None:
    with reading(host, Api(EngineNotFound("gone", status=404))) as usage:
        gone = usage.read([container()], TIMEOUT)
    assert (gone.samples, gone.errors, gone.sources) == ({}, (), {"cgroup": 0, "api": 0, "none": 1})


@pytest.mark.parametrize("state", [None, "Z", "X"])
def test_a_process_that_ended_before_its_event_came_is_not_asked_of_the_api(
    host: Host, state: str | None
) -> None:
    host.run(f"/docker/{ID}")
    (host.mounts.procfs / "1").mkdir()
    if state:
        host.process("/", pid=7)
        (host.mounts.procfs / "7/stat").write_text(f"7 (od) d) {state} 1 7 7 0 -1\n")
    api = Api()
    with reading(host, api) as usage:
        readings = usage.read([container(), container("7" * 64, 7)], TIMEOUT)
    assert api.calls == []
    assert readings.sources == {"cgroup": 1, "api": 0, "none": 1}


def test_what_files_do_not_tell_the_api_does(host: Host) -> None:
    host.run(f"/docker/{ID}")
    host.process("/nowhere", pid=7)
    api = Api()
    with reading(host, api) as usage:
        readings = usage.read([container(), container("7" * 64, 7)], TIMEOUT)
    assert api.calls == ["7" * 64]
    assert readings.sources == {"cgroup": 1, "api": 1, "none": 0}
    assert readings.samples["7" * 64].cpu_seconds == 12.5


@pytest.mark.parametrize("text", ["", "many\n"], ids=["empty", "garbled"])
def test_a_garbled_file_is_an_error_and_the_api_is_asked(host: Host, text: str) -> None:
    name = "cpuacct/cpuacct.usage" if host.version == 1 else "cpu.stat"
    host.run(f"/docker/{ID}", files={**host.files, name: text})
    with reading(host, Api()) as usage:
        readings = usage.read([container()], TIMEOUT)
    assert readings.sources == {"cgroup": 0, "api": 1, "none": 0}
    assert [error.partition(":")[0] for error in readings.errors] == ["web"]


def test_a_file_that_cannot_be_read_is_an_error_and_the_api_is_asked(host: Host) -> None:
    host.run(f"/docker/{ID}")
    name = "pids/pids.current" if host.version == 1 else "pids.current"
    file = host.file(f"/docker/{ID}", name)
    file.unlink()
    file.mkdir()
    with reading(host, Api()) as usage:
        readings = usage.read([container()], TIMEOUT)
    assert readings.sources == {"cgroup": 0, "api": 1, "none": 0}
    assert readings.errors == ("web: IsADirectoryError [Errno 21] Is a directory",)


def test_cgroup_mode_never_asks_the_api(host: Host) -> None:
    api = Api()
    with reading(host, api, "cgroup") as usage:
        readings = usage.read([container()], TIMEOUT)
    assert (api.calls, readings.sources) == ([], {"cgroup": 0, "api": 0, "none": 1})


def test_api_mode_never_opens_a_file(host: Host, tmp_path: Path) -> None:
    host.run(f"/docker/{ID}")
    before = descriptors(tmp_path)
    with reading(host, Api(), "api") as usage:
        readings = usage.read([container()], TIMEOUT)
        assert descriptors(tmp_path) == before
    assert readings.sources == {"cgroup": 0, "api": 1, "none": 0}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (EngineTimeout("no answer"), ("web: no answer",)),
        ({"cpu_stats": {"cpu_usage": {"total_usage": "much"}}}, None),
        ({"cpu_stats": 5}, None),
        ({"cpu_stats": {"cpu_usage": {"total_usage": 1e999}}}, None),
    ],
)
def test_an_api_that_fails_or_answers_garbage_is_an_error(
    host: Host, answer: Mapping[str, Any] | Exception, error: tuple[str, ...] | None
) -> None:
    with reading(host, Api(answer), "api") as usage:
        readings = usage.read([container()], TIMEOUT)
    assert readings.sources["none"] == 1
    assert readings.errors == error if error else "web: unexpected stats" in readings.errors[0]


def test_an_api_that_hangs_costs_the_timeout_and_no_thread_more_than_there_are(host: Host) -> None:
    api = Api()
    api.free.clear()
    fleet = [container(f"{n:064x}", 1000 + n) for n in range(reader.STATS_THREADS + 6)]
    with reading(host, api, "api") as usage:
        started = time.monotonic()
        readings = usage.read(fleet, 0.2)
        for _ in range(5):
            usage.read(fleet, 0.02)
        assert time.monotonic() - started < 10.0
        until(lambda: len(api.calls) >= reader.STATS_THREADS)  # a thread may only just have begun
        workers = [each for each in threading.enumerate() if each.name.startswith("engine-stats")]
        assert len(workers) == len(api.calls) == reader.STATS_THREADS
        assert readings.sources["none"] == len(fleet)
        assert readings.errors[0] == "web: the Engine gave no stats in time"
        api.free.set()
        after = usage.read(fleet, TIMEOUT)
    assert after.sources["api"] == len(fleet)


def test_an_answer_that_came_after_its_time_is_not_served_later(host: Host) -> None:
    api = Api()
    api.free.clear()
    with reading(host, api, "api") as usage:
        usage.read([container()], 0.0)
        future = usage._pending[ID]
        api.free.set()
        future.result(TIMEOUT)
        api.answer = {**ANSWER, "pids_stats": {"current": 44}}
        assert pids(usage.read([container()], TIMEOUT)) == 44


def test_two_readers_at_once_share_a_call_that_is_under_way(host: Host) -> None:
    api = Api()
    api.free.clear()
    with reading(host, api, "api") as usage:
        usage.read([container()], 0.0)
        found: list[reader.Readings] = []
        threads = [
            threading.Thread(target=lambda: found.append(usage.read([container()], TIMEOUT)))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        api.free.set()
        for thread in threads:
            thread.join(TIMEOUT)
    assert [each.sources["api"] for each in found] == [1, 1]
    assert len(api.calls) in (1, 2)


def test_calls_of_containers_that_are_gone_are_forgotten(host: Host) -> None:
    api = Api()
    api.free.clear()
    with reading(host, api, "api") as usage:
        usage.read([container(f"{n:064x}", 1000 + n) for n in range(10)], 0.0)
        pending = list(usage._pending.values())
        api.free.set()
        for future in pending:
            future.result(TIMEOUT)
        usage.read([container()], TIMEOUT)
        assert usage._pending.keys() == {ID}


def test_a_disk_that_was_plugged_in_gets_its_name(host: Host) -> None:
    host.run(f"/docker/{ID}")
    diskstats = host.mounts.procfs / "diskstats"
    diskstats.unlink()
    with reading(host) as usage:
        assert usage.read([container()], TIMEOUT).samples[ID].devices.keys() == {"254:0"}
        diskstats.write_text(trees.DISKSTATS)
        usage._devices_due = 0.0
        assert usage.read([container()], TIMEOUT).samples[ID].devices.keys() == {"vda"}
