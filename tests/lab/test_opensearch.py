from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import LabError
from lab.loopback import answers
from lab.opensearch import OpenSearch

STREAM = "logs-lab-default"


@pytest.fixture(scope="module")
def server() -> Iterator[OpenSearch]:
    with OpenSearch() as started:
        started.make_streams()
        yield started


def store(server: OpenSearch, name: str) -> None:
    server.call(
        "PUT", f"/{STREAM}/_create/{name}?timeout=30s", {"@timestamp": "2026-01-01T00:00:00Z", "name": name}
    )


def test_documents_are_read_from_every_backing_index(server: OpenSearch) -> None:
    store(server, "a")
    assert server.rollover(STREAM) == f".ds-{STREAM}-000002"
    store(server, "a")
    store(server, "b")
    assert server.backing_indices(STREAM) == [f".ds-{STREAM}-000001", f".ds-{STREAM}-000002"]
    assert server.count(STREAM) == 3
    assert sorted(server.all_ids(STREAM)) == ["a", "a", "b"]
    assert sorted(document["name"] for document in server.documents(STREAM)) == ["a", "a", "b"]


def test_it_comes_back_with_its_data_on_its_port_after_a_kill(server: OpenSearch) -> None:
    store(server, "kept")
    url = server.url
    server.kill()
    assert not answers(url)
    server.process.start()
    assert "kept" in server.all_ids(STREAM)
    assert server.url == url


def test_frozen_it_is_silent_and_thawed_it_goes_on(server: OpenSearch) -> None:
    server.process.freeze()
    assert not answers(server.url)
    server.process.thaw()
    server.process.wait_until(lambda: answers(server.url), 30, "did not go on")


def test_a_refusal_has_its_own_words(server: OpenSearch) -> None:
    with pytest.raises(LabError, match="index_not_found_exception"):
        server.call("GET", "/nothing/_count")
