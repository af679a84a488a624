from __future__ import annotations

import gzip

import pytest

from compose_agent.web.compression import accepts_gzip, compressed
from compose_agent.web.response import Response


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("deflate, gzip;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0, *", False),
        ("*", True),
        ("*;q=0", False),
        ("br, *;q=0.1", True),
        ("gzip;q=high", False),
        ("gzip;level=9", True),
        (",, ;", False),
        ("xgzip", False),
    ],
)
def test_gzip_is_what_a_client_says_it_takes(header: str, *, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted
    answer = compressed(Response(200, b"text", "text/plain"), {"HTTP_ACCEPT_ENCODING": header})
    headers = dict(answer.headers)
    assert headers["Vary"] == "Accept-Encoding"
    assert ("Content-Encoding" in headers) is accepted
    assert (gzip.decompress(answer.body) if accepted else answer.body) == b"text"
