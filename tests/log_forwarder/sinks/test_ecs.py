from __future__ import annotations

import json

from log_forwarder.sinks.ecs import Documents
from tests.log_forwarder.sinks.lines import batch, event


def test_a_document_is_one_object_without_a_newline_and_names_no_data_stream() -> None:
    first, second = Documents("host-1").encode(batch([event(1, "a\nb"), event(2)]))
    assert b"\n" not in first
    assert json.loads(second)["message"] == "line 2"
    found = json.loads(first)
    assert (found["message"], found["event"], found["host"]) == (
        "a\nb",
        {"id": event(1).id},
        {"name": "host-1"},
    )
    assert "data_stream" not in found
