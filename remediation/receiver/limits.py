"""What a request may cost before anything of it is believed: size, type, encoding."""

from __future__ import annotations

from typing import Any
from wsgiref.types import WSGIEnvironment

from remediation.receiver.refusal import Refusal, Why

_PIECE_BYTES = 64 * 1024


def require_type(environ: WSGIEnvironment, expected: str) -> None:
    """Refuse a body that is not of this media type, or that is compressed."""
    given = str(environ.get("CONTENT_TYPE", "")).partition(";")[0].strip().lower()
    if given != expected:
        raise Refusal(Why.MEDIA_TYPE, f"expected Content-Type {expected}")
    encoding = str(environ.get("HTTP_CONTENT_ENCODING", "")).strip().lower()
    if encoding not in {"", "identity"}:
        # A few bytes can unpack to gigabytes, and no sender of alerts compresses.
        raise Refusal(Why.COMPRESSED, "expected a body without Content-Encoding")


def read_body(environ: WSGIEnvironment, most: int) -> bytes:
    """Return the body, at most ``most`` bytes; a longer one is refused, unread if it says how long it is."""
    declared = str(environ.get("CONTENT_LENGTH", ""))
    # The server lets nothing but digits through; so many of them are no length of anything.
    if len(declared) > len(str(most)) + 1 or int(declared or 0) > most:
        raise _too_large(most)
    stream: Any = environ["wsgi.input"]
    body = bytearray()
    try:
        while piece := stream.read(_PIECE_BYTES):
            body += piece
            if len(body) > most:
                raise _too_large(most)
    except ValueError as error:  # what the server raises for chunks that are none
        raise Refusal(Why.MALFORMED, "the body is not in chunks as its headers say") from error
    return bytes(body)


def require_text(body: bytes) -> None:
    """Refuse what is not UTF-8, also where nobody would read it."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise Refusal(Why.NOT_UTF8, f"expected UTF-8 ({error.reason} at byte {error.start})") from error


def _too_large(most: int) -> Refusal:
    return Refusal(Why.TOO_LARGE, f"expected at most {most} bytes")
