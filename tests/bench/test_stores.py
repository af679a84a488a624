from __future__ import annotations

import gzip
import json
import threading
import time
from pathlib import Path

from bench.forwarder_faults import Moment, act
from bench.stores import FileStore


def line(name: str) -> bytes:
    event = {"log": name, "source": "stdout", "event_id": name, "container_id": "a" * 64}
    return json.dumps(event).encode() + b"\n"


def test_the_files_of_a_chain_are_read_once_each_and_oldest_first(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    folder = tmp_path / "out"
    (folder / "x.ndjson").write_bytes(line("newest"))
    (folder / "x.ndjson.1").write_bytes(line("newer"))
    (folder / "x.ndjson.1.gz").write_bytes(gzip.compress(line("newer")))
    (folder / "x.ndjson.1.gz.partial").write_bytes(b"\x1f\x8b torn")
    (folder / "x.ndjson.2.gz").write_bytes(gzip.compress(line("older")))
    (folder / "x.ndjson.10.gz").write_bytes(gzip.compress(line("oldest")))
    assert [each.event_id for each in store.arrivals()] == ["oldest", "older", "newer", "newest"]


def test_what_takes_long_delays_what_follows() -> None:
    done: list[float] = []
    started = time.monotonic()

    def slow() -> None:
        time.sleep(0.3)
        done.append(time.monotonic() - started)

    moments: list[Moment] = [(0.0, slow), (0.1, lambda: done.append(time.monotonic() - started))]
    act(moments, threading.Event())
    assert done[0] >= 0.3
    assert done[1] >= done[0] + 0.1


def test_an_abort_leaves_the_rest_undone() -> None:
    done: list[float] = []
    abort = threading.Event()
    moments: list[Moment] = [(0.0, abort.set), (60.0, lambda: done.append(0.0))]
    act(moments, abort)
    assert not done
