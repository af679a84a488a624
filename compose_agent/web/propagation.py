"""Carry the active trace over HTTP (W3C Trace Context) with the OpenTelemetry API alone."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry import context, propagate

from compose_agent.tracing.context import tell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_HEADER_PREFIX = "HTTP_"


def outgoing_headers() -> dict[str, str]:
    """Return the headers that name the active span; none when there is no span."""
    headers: dict[str, str] = {}
    tell(headers)
    return headers


@contextmanager
def incoming_trace(environ: WSGIEnvironment) -> Iterator[None]:
    """Have the trace that a request names active meanwhile."""
    token = context.attach(propagate.extract(_headers(environ)))
    try:
        yield
    finally:
        context.detach(token)


def with_incoming_trace(app: WSGIApplication) -> WSGIApplication:
    """Return ``app`` with the trace that a request names active while it is answered."""

    def traced(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with incoming_trace(environ):
            response = app(environ, start_response)
            try:
                yield from response
            finally:
                close = getattr(response, "close", None)
                if close:
                    close()

    return traced


def _headers(environ: WSGIEnvironment) -> dict[str, str]:
    return {
        name.removeprefix(_HEADER_PREFIX).replace("_", "-").lower(): str(value)
        for name, value in environ.items()
        if name.startswith(_HEADER_PREFIX)
    }
