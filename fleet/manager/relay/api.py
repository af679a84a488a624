"""``/api/v1/nodes/NODE/metrics/ROLE``: what a role of an agent answers to a scrape."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from wsgiref.types import WSGIEnvironment

from compose_agent.web.compression import accepts_gzip
from compose_agent.web.response import Response
from fleet.envelopes.relay import CAPABILITY, MOST_UNPACKED_BYTES
from fleet.manager.api import NODES, not_one
from fleet.manager.later import Later
from fleet.manager.openapi import Operation
from fleet.manager.openapi.answers import problem
from fleet.manager.principal import principal_of
from fleet.manager.registry import Registry
from fleet.manager.relay.relay import Busy, Gone, Relay
from fleet.manager.sight import Sight

# What Prometheus allows by itself.
_SECONDS = 10.0
_LONGEST_SECONDS = 60.0
# So that the answer that nothing has come still comes in time.
_MARGIN_SECONDS = 0.5
_TIMEOUT_HEADER = "HTTP_X_PROMETHEUS_SCRAPE_TIMEOUT_SECONDS"
_GZIP = zlib.MAX_WBITS | 16
_REFUSES = {
    404: "There is no such node, or it does not run this role, or its agent hands no metrics on.",
    409: "Several agents have this node id.",
    502: "The role, or the agent, has not answered with metrics.",
    504: "The agent has not answered in time.",
}


class RelayApi:
    """Hands scrapes to ``relay``."""

    def __init__(self, registry: Registry, relay: Relay) -> None:
        self._registry = registry
        self._relay = relay

    def operations(self) -> Sequence[Operation]:
        """Return what can be asked."""
        return [
            Operation(
                method="GET",
                path=f"{NODES}/{{node}}/metrics/{{role}}",
                summary="Metrics of one role of an agent, over its link",
                answer=self._scrape,
                media="text/plain",
                refuses=_REFUSES,
            )
        ]

    def _scrape(self, environ: WSGIEnvironment, names: Mapping[str, str]) -> Response:
        found = Sight(self._registry, principal_of(environ)).find(names["node"])
        if len(found) != 1:
            return not_one(names["node"], found)
        node = found[0]
        if CAPABILITY not in node.custom:
            return problem(404, f"the agent of {node.node_id} hands no metrics on")
        seconds = _seconds(environ)
        try:
            accept = str(environ.get("HTTP_ACCEPT", "*/*"))
            asked = self._relay.ask(node.uid, names["role"], accept, seconds)
        except Busy:
            return problem(503, "too many scrapes are under way")
        except Gone:
            return problem(502, f"the agent of {node.node_id} is not connected")
        late = problem(504, f"the agent of {node.node_id} has not answered within {seconds:g} s")
        packed = accepts_gzip(str(environ.get("HTTP_ACCEPT_ENCODING", "")))
        coming = asked if packed else _unpacking(asked)
        return Later(late.status, late.body, late.content_type, coming=coming, seconds=seconds)


def _seconds(environ: WSGIEnvironment) -> float:
    """Return how long whoever asks waits, less what it takes to tell them that nothing has come."""
    try:
        wanted = float(environ.get(_TIMEOUT_HEADER, _SECONDS))
    except ValueError:
        wanted = _SECONDS
    # Written so that what is no number at all (NaN) counts as nothing.
    return max(_MARGIN_SECONDS, min(wanted, _LONGEST_SECONDS) - _MARGIN_SECONDS) if wanted > 0 else _SECONDS


def _unpacking(asked: Future[Response]) -> Future[Response]:
    """Return the answer for who does not take gzip; cancelled with it."""
    coming: Future[Response] = Future()
    coming.add_done_callback(lambda _done: asked.cancel())

    def unpack(done: Future[Response]) -> None:
        if not done.cancelled() and coming.set_running_or_notify_cancel():
            coming.set_result(unpacked(done.result()))

    asked.add_done_callback(unpack)
    return coming


def unpacked(answer: Response) -> Response:
    """Return an answer whose body is gzip without that."""
    unpacker = zlib.decompressobj(_GZIP)
    try:
        body = unpacker.decompress(answer.body, MOST_UNPACKED_BYTES)
    except zlib.error:
        return problem(502, "the agent's answer is not what it says")
    if not unpacker.eof:
        return problem(502, f"the agent's answer has more than {MOST_UNPACKED_BYTES} bytes, or is cut off")
    return replace(answer, body=body, headers=())
