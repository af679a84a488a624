from __future__ import annotations

import io
from typing import Any

import pytest

from remediation.receiver.limits import read_body, require_type
from remediation.receiver.refusal import Refusal, Why

JSON = "application/json"


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
