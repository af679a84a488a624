"""Answers as Flask sends them, compressed where the client takes it."""

from __future__ import annotations

import flask
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST

from compose_agent.web.compression import accepts_gzip, gzipped


def metrics_type() -> str:
    """Return the content type for the current request's metrics: OpenMetrics 1.0.0 or the text format 0.0.4.

    Only the choice is prometheus_client's: what it returns repeats the version that the client asked for.
    """
    try:
        _, wanted = choose_encoder(flask.request.headers.get("Accept", ""))
    except TypeError:  # a version that is no number
        return CONTENT_TYPE_PLAIN_0_0_4
    return (
        CONTENT_TYPE_LATEST if wanted.startswith("application/openmetrics-text") else CONTENT_TYPE_PLAIN_0_0_4
    )


def answer(text: str, content_type: str, status: int = 200) -> flask.Response:
    """Return ``text`` as the answer to the current request, with gzip if it accepts that."""
    gzip = accepts_gzip(flask.request.headers.get("Accept-Encoding", ""))
    body = text.encode("utf-8", "replace")
    response = flask.Response(gzipped(body) if gzip else body, status, content_type=content_type)
    response.headers["Vary"] = "Accept, Accept-Encoding"
    if gzip:
        response.headers["Content-Encoding"] = "gzip"
    return response
