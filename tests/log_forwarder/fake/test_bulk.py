from __future__ import annotations

import gzip
import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from log_forwarder.fake.bulk import FakeBulk
from log_forwarder.fake.bulk_store import Faults

STREAM = "logs-docker-default"


@pytest.fixture
def fake() -> Iterator[FakeBulk]:
    with FakeBulk() as started:
        yield started


def ask(port: int, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, {key.replace("_", "-"): text for key, text in headers.items()})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def lines(*ids: str, operation: str = "create", message: str = "m") -> bytes:
    document = {"@timestamp": "2026-01-01T00:00:00Z", "message": message}
    return b"".join(
        json.dumps(each).encode() + b"\n" for id_ in ids for each in ({operation: {"_id": id_}}, document)
    )


def statuses(answer: tuple[int, Any]) -> list[int]:
    assert answer[0] == 200
    return [outcome["status"] for item in answer[1]["items"] for outcome in item.values()]


def bulk(fake: FakeBulk, body: bytes, target: str = STREAM, **headers: str) -> tuple[int, Any]:
    return ask(fake.port, "POST", f"/{target}/_bulk", body, **headers)


def test_an_id_is_taken_once(fake: FakeBulk) -> None:
    assert statuses(bulk(fake, lines("a", "b", "a"))) == [201, 201, 409]
    assert statuses(bulk(fake, lines("b", "c"))) == [409, 201]
    assert fake.store.ids(STREAM) == ["a", "b", "c"]


def test_after_a_roll_over_an_id_is_taken_again(fake: FakeBulk) -> None:
    bulk(fake, lines("a"))
    assert ask(fake.port, "POST", f"/{STREAM}/_rollover")[1]["new_index"] == f".ds-{STREAM}-000002"
    assert statuses(bulk(fake, lines("a"))) == [201]
    assert fake.store.ids(STREAM) == ["a", "a"]
    _, answer = ask(fake.port, "GET", f"/_data_stream/{STREAM}")
    names = [each["index_name"] for each in answer["data_streams"][0]["indices"]]
    assert names == [f".ds-{STREAM}-000001", f".ds-{STREAM}-000002"]


def test_ids_are_looked_up_by_index(fake: FakeBulk) -> None:
    bulk(fake, lines("a"))
    _, answer = ask(fake.port, "POST", f"/.ds-{STREAM}-000001/_mget", b'{"ids":["a","b"]}')
    assert answer == {"docs": [{"_id": "a", "found": True}, {"_id": "b", "found": False}]}
    assert ask(fake.port, "POST", "/nothing/_mget", b'{"ids":[]}')[0] == 404
    assert ask(fake.port, "GET", "/_data_stream/nothing")[0] == 404


def test_a_stream_takes_create_with_a_time_only(fake: FakeBulk) -> None:
    assert statuses(bulk(fake, lines("a", operation="index"))) == [400]
    assert statuses(bulk(fake, b'{"create":{"_id":"a"}}\n{}\n')) == [400]
    assert statuses(bulk(fake, b'{"create":{"_id":"a"}}\n{}\n', target="plain")) == [201]


def test_a_body_may_be_compressed_and_must_end_its_last_line(fake: FakeBulk) -> None:
    assert statuses(bulk(fake, gzip.compress(lines("a")), Content_Encoding="gzip")) == [201]
    status, answer = bulk(fake, lines("b").rstrip(b"\n"))
    assert (status, answer["error"]["type"]) == (400, "illegal_argument_exception")


def test_poison_is_refused(fake: FakeBulk) -> None:
    fake.faults.poison = lambda document: document["message"] == "bad"
    status, answer = bulk(fake, lines("a") + lines("b", message="bad"))
    assert statuses((status, answer)) == [201, 400]
    assert answer["errors"] is True
    assert answer["items"][1]["create"]["error"]["type"] == "mapper_parsing_exception"


def test_a_share_of_the_items_is_busy(fake: FakeBulk) -> None:
    fake.faults.busy_percent = 30.0
    found = statuses(bulk(fake, lines(*map(str, range(1000)))))
    assert 200 < found.count(429) < 400
    assert found.count(201) == 1000 - found.count(429)


def test_statuses_are_given_once_with_their_headers(fake: FakeBulk) -> None:
    fake.faults.statuses = [(503, {"Retry-After": "1"}), (429, {})]
    assert [bulk(fake, lines("a"))[0] for _ in range(3)] == [503, 429, 200]


def test_large_requests_are_refused(fake: FakeBulk) -> None:
    fake.faults.most_bytes = 100
    assert bulk(fake, lines(*"abc"))[0] == 413


@pytest.mark.parametrize(("fault", "stored"), [("drop", ["a"]), ("hang", [])])
def test_an_answer_can_be_withheld(fake: FakeBulk, fault: str, stored: list[str]) -> None:
    setattr(fake.faults, fault, 1)
    # Nothing but what hangs is given up.
    seconds = 0.5 if fault == "hang" else 30.0
    connection = http.client.HTTPConnection("127.0.0.1", fake.port, timeout=seconds)
    connection.request("POST", f"/{STREAM}/_bulk", lines("a"))
    with pytest.raises((http.client.RemoteDisconnected, TimeoutError)):
        connection.getresponse()
    connection.close()
    assert fake.store.ids(STREAM) == stored
    assert bulk(fake, lines("b"))[0] == 200


def test_an_answer_can_be_late(fake: FakeBulk) -> None:
    fake.faults.late_seconds = 0.2
    start = time.monotonic()
    bulk(fake, lines("a"))
    assert time.monotonic() - start >= 0.2


def test_the_same_seed_chooses_the_same_items() -> None:
    found = []
    for seed in (1, 1, 2):
        with FakeBulk(faults=Faults(busy_percent=50.0, seed=seed)) as fake:
            found.append(statuses(bulk(fake, lines(*map(str, range(100))))))
    assert found[0] == found[1] != found[2]


def test_faults_are_set_and_counts_are_read_from_outside(fake: FakeBulk) -> None:
    assert ask(fake.port, "PUT", "/-/faults", b'{"most_bytes": 10}')[0] == 200
    assert bulk(fake, lines("a"))[0] == 413
    assert ask(fake.port, "GET", "/-/counts")[1]["documents"] == 0


def test_it_asks_for_credentials(fake: FakeBulk) -> None:
    fake.credentials = "ApiKey x"
    assert bulk(fake, lines("a"))[0] == 401
    assert bulk(fake, lines("a"), Authorization="ApiKey x")[0] == 200


def test_as_a_program_it_counts() -> None:
    command = [sys.executable, "-m", "log_forwarder.fake.bulk", "--port", "0", "--poison", "bad"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        word, port = program.stdout.readline().split()
        assert word == "READY"
        path = f"/{STREAM}/_bulk"
        ask(int(port), "POST", path, lines("a", "b") + lines("c", message="so bad"))
        program.send_signal(signal.SIGTERM)
        counts = json.loads(program.stdout.read())
    assert counts == {
        "documents": 2,
        "ids": 2,
        "indices": {f".ds-{STREAM}-000001": 2},
        "items": {"201": 2, "400": 1},
        "requests": {"_bulk": 1},
    }
