from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.receiver.limits import is_deeper, read_body, require_type
from remediation.receiver.refusal import Refusal, Why

JSON = "application/json"
documents = st.recursive(
    st.none() | st.integers() | st.text(alphabet='[]{}"\\a'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='{"\\'), inner, max_size=3),
    max_leaves=20,
)


def depth(document: object) -> int:
    if isinstance(document, dict):
        document = list(document.values())
    if isinstance(document, list):
        return 1 + max(map(depth, document), default=0)
    return 0


@given(document=documents, levels=st.integers(0, 8))
def test_depth_is_what_a_parser_finds(document: Any, levels: int) -> None:
    assert is_deeper(json.dumps(document).encode(), levels) is (depth(document) > levels)


@pytest.mark.parametrize(
    ("body", "deeper"),
    [
        (b"[" * 4_000_000, True),
        (b"[]" * 2_000_000, False),
        (b'"\\' * 2_000_000, False),
        (b'"' * 4_000_001, False),
        (b"\\" * 4_000_000, False),
        (b"[" * 2_000_000 + b"]" * 2_000_000, True),
        (b"]" * 4_000_000, False),
        (b"[" * 32 + b"]" * 40, False),
        (b"[" * 33, True),
        (b"{" * 32, False),
    ],
)
def test_every_byte_is_looked_at_a_few_times_only(body: bytes, deeper: bool) -> None:
    """A square of these lengths would not end."""
    assert is_deeper(body, 32) is deeper


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({}, Why.MEDIA_TYPE),
        ({"CONTENT_TYPE": "text/plain"}, Why.MEDIA_TYPE),
        ({"CONTENT_TYPE": "application/x-www-form-urlencoded"}, Why.MEDIA_TYPE),
        ({"CONTENT_TYPE": JSON, "HTTP_CONTENT_ENCODING": "gzip"}, Why.COMPRESSED),
        ({"CONTENT_TYPE": JSON, "HTTP_CONTENT_ENCODING": "identity, deflate"}, Why.COMPRESSED),
    ],
)
def test_other_types_and_compressed_bodies_are_refused(environ: dict[str, Any], why: Why) -> None:
    with pytest.raises(Refusal) as refused:
        require_type(environ, JSON)
    assert (refused.value.why, refused.value.status) == (why, 415)


@pytest.mark.parametrize("given_type", [JSON, "Application/JSON; charset=utf-8"])
def test_the_type_is_compared_without_case_and_parameters(given_type: str) -> None:
    require_type({"CONTENT_TYPE": given_type, "HTTP_CONTENT_ENCODING": "identity"}, JSON)


def body_of(data: bytes, **environ: str) -> dict[str, Any]:
    return {"wsgi.input": io.BytesIO(data), **environ}


def test_a_body_is_read_up_to_its_limit() -> None:
    assert read_body(body_of(b"x" * 100_000), 100_000) == b"x" * 100_000
    with pytest.raises(Refusal, match="at most 99999 bytes"):
        read_body(body_of(b"x" * 100_000), 99_999)


@pytest.mark.parametrize("length", ["11", "9" * 5000])
def test_a_body_that_says_it_is_too_long_is_not_read(length: str) -> None:
    environ = body_of(b"", CONTENT_LENGTH=length)
    environ["wsgi.input"] = None
    with pytest.raises(Refusal) as refused:
        read_body(environ, 10)
    assert refused.value.status == 413
