from __future__ import annotations

import json
from typing import Any

import pytest

from log_forwarder.sinks.contract import RequestTooLarge, SinkUnavailable
from log_forwarder.sinks.elasticsearch.answers import Sorted, refused_whole, sorted_out

STORED = {"create": {"status": 201}}
THERE = {"create": {"status": 409, "error": {"type": "version_conflict_engine_exception", "reason": "there"}}}
BUSY = {"create": {"status": 429, "error": {"type": "es_rejected_execution_exception", "reason": "full"}}}
DOWN = {"create": {"status": 503, "error": {"type": "unavailable_shards_exception", "reason": "no primary"}}}
BAD = {"create": {"status": 400, "error": {"type": "mapper_parsing_exception", "reason": "failed to parse"}}}


def refused(status: int, kind: str, reason: str | None = "r") -> dict[str, Any]:
    return {"create": {"status": status, "error": {"type": kind, "reason": reason}}}


def answer(*items: dict[str, Any]) -> bytes:
    return json.dumps({"errors": any(item is not STORED for item in items), "items": items}).encode()


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([STORED], Sorted({}, [])),
        ([{"create": {"status": 200}}], Sorted({}, [])),
        ([STORED, THERE, STORED], Sorted({}, [])),
        ([STORED, BUSY, BUSY], Sorted({}, [1, 2])),
        ([DOWN, STORED, BUSY], Sorted({}, [0, 2], in_doubt=True)),
        ([STORED, BAD], Sorted({1: "mapper_parsing_exception: failed to parse"}, [])),
        ([BAD, BUSY, THERE], Sorted({0: "mapper_parsing_exception: failed to parse"}, [1])),
        ([{"create": {"status": 404}}], Sorted({0: "status: 404"}, [])),
        ([refused(400, "document_parsing_exception", None)], Sorted({0: "document_parsing_exception"}, [])),
        ([refused(403, "index_closed_exception")], Sorted({0: "index_closed_exception: r"}, [])),
    ],
)
def test_items_are_sorted_by_their_status(items: list[dict[str, Any]], expected: Sorted) -> None:
    assert sorted_out(answer(*items), len(items)) == expected


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (
            refused(403, "cluster_block_exception", "index [x] blocked by: [FORBIDDEN/12/index read-only]"),
            (
                "documents are refused (cluster_block_exception: index [x] blocked by: "
                "[FORBIDDEN/12/index read-only]): free disk space, or lift the write block of the index"
            ),
        ),
        (
            refused(400, "illegal_argument_exception", "pipeline with id [p] does not exist"),
            (
                "documents are refused (illegal_argument_exception: pipeline with id [p] does not exist): "
                "create the pipeline, or correct the sink's pipeline="
            ),
        ),
        (
            refused(403, "security_exception", "no"),
            (
                "documents are refused (security_exception: no): "
                "give the user the privileges create_doc and auto_configure"
            ),
        ),
        (
            refused(404, "index_not_found_exception", "no such index [x]"),
            (
                "documents are refused (index_not_found_exception: no such index [x]): "
                "allow the index to be created automatically, or create it"
            ),
        ),
    ],
)
def test_what_is_no_fault_of_the_document_is_no_dead_letter(item: dict[str, Any], message: str) -> None:
    with pytest.raises(SinkUnavailable) as caught:
        sorted_out(answer(STORED, item), 2)
    assert str(caught.value) == message
    assert caught.value.unseen


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"took":1}',
        b'{"errors":false,"items":[]}',
        answer(STORED),
        b"\xff",
        b'{"errors":1}',
    ],
)
def test_an_answer_that_is_none_means_that_nothing_is_known(body: bytes) -> None:
    with pytest.raises(
        SinkUnavailable, match=r"what the server answered to _bulk cannot be read \(.+\)"
    ) as caught:
        sorted_out(body, 2)
    assert caught.value.unseen


@pytest.mark.parametrize(
    "kind", ["illegal_argument_exception", "x_content_parse_exception", "action_request_validation_exception"]
)
def test_a_request_that_cannot_be_read_is_halved(kind: str) -> None:
    error = refused_whole(400, json.dumps({"error": {"type": kind, "reason": "r"}, "status": 400}).encode())
    assert isinstance(error, RequestTooLarge)
    assert str(error) == f"{kind}: r"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, b"<html>The plain HTTP request was sent to HTTPS port</html>", "The plain HTTP request"),
        (
            400,
            b'{"error":{"type":"illegal_argument_exception","reason":"unrecognized parameter: [x]"}}',
            r"illegal_argument_exception: unrecognized parameter: \[x\]",
        ),
        (
            400,
            b'{"error":{"type":"invalid_index_name_exception","reason":"r"}}',
            "invalid_index_name_exception: r",
        ),
        (404, b'{"error":"no handler"}', "error: no handler"),
        (405, b"", "nothing"),
    ],
)
def test_a_wrong_address_is_no_dead_letter_either(status: int, body: bytes, said: str) -> None:
    error = refused_whole(status, body)
    assert isinstance(error, SinkUnavailable)
    assert not error.unseen
    with pytest.raises(SinkUnavailable, match=rf"the server answered {status} to _bulk \(.*{said}"):
        raise error


def test_after_an_internal_error_nothing_is_known() -> None:
    error = refused_whole(500, b"{}")
    assert isinstance(error, SinkUnavailable)
    assert error.unseen
