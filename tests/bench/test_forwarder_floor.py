from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.dockerlogs import Writer
from bench.forwarder_floor import ship
from bench.jsonfile_driver import Rotation
from bench.numbered import stream_of, text_of
from log_forwarder.fake.forward import ForwardServer

LINES = 3000


@pytest.mark.parametrize("gzip", [False, True])
def test_the_bare_path_ships_every_line_whole(gzip: bool, tmp_path: Path) -> None:
    writer = Writer(tmp_path, Rotation(), [0.5, 0.5])
    writer.backlog(LINES)
    arrived: list[tuple[int, dict[str, Any]]] = []
    with ForwardServer(on_event=lambda _tag, time_ns, record: arrived.append((time_ns, record))) as server:
        assert ship(tmp_path, server.port, gzip=gzip) == LINES
    for source in writer.sources:
        short = source.who.id[:12]
        found = [
            (record["source"], record["log"])
            for _, record in arrived
            if record["container_id"] == source.who.id
        ]
        assert found == [(stream_of(number), text_of(short, number)) for number in range(LINES // 2)]
    assert all(record["compose_project"] == "bench" for _, record in arrived)
    times = [time_ns for time_ns, record in arrived if record["container_id"] == writer.sources[0].who.id]
    assert times == sorted(times)
