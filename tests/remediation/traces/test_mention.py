from __future__ import annotations

from pathlib import Path

import pytest

from compose_agent.tracing import pipeline
from remediation.traces import mention
from tests.tracing.conftest import settings

ID = "0123456789abcdef0123456789abcdef"
TRACEPARENT = f"00-{'1' * 32}-{'2' * 16}-00"


def test_nobody_is_told_of_a_trace_that_is_not_kept() -> None:
    assert mention.of_entry("decided", ID) == {}
    assert mention.for_alert(ID) == {}
    assert mention.html(ID) == ""


def test_a_sender_s_trace_is_kept_also_without_ours() -> None:
    assert mention.of_signal(TRACEPARENT) == {"trace_id": "1" * 32, "span_id": "2" * 16}
    for other in ("", "00-0-0-00", TRACEPARENT + "-x"):
        assert mention.of_signal(other) == {}


@pytest.mark.parametrize("backend", [None, "http://127.0.0.1:3000/explore?trace={trace_id}"])
def test_who_is_told_of_an_action_is_told_of_its_trace(tmp_path: Path, backend: str | None) -> None:
    made = pipeline.start("remediation", settings(backend_url=backend), tmp_path, {})
    assert made is not None
    try:
        link = f"http://127.0.0.1:3000/explore?trace={ID}"
        assert mention.for_alert(ID) == {"trace_id": ID, **({"trace_url": link} if backend else {})}
        assert (f'<a href="{link}">' in mention.html(ID)) is bool(backend)
        assert ID in mention.html(ID)
        spans = {kind: mention.of_entry(kind, ID)["span_id"] for kind in ("decided", "acted", "verified")}
        assert len(set(spans.values())) == 3
        assert mention.of_entry("frozen", None) == {}
    finally:
        made.stop(0.5)
