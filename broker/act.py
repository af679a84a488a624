"""The act socket: requests for verbs, read strictly, and done by the actor.

``POST /v1/verbs`` takes a request and answers with its outcome when it has ended, ``GET /v1/verbs/ID`` says
how it stands. Whoever loses the connection meanwhile asks again with the same id: it is done once. Whatever
is not exactly such a request gets a status of 400 and above, and nothing is done.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated
from wsgiref.types import StartResponse, WSGIEnvironment

import msgspec

from broker.metrics import BrokerMetrics
from broker.peers import RefusalLog, peer_of
from broker.routes import NotServed
from compose_agent.boottime import Moment
from compose_agent.dockerd.verbs.contract import Actor, ActorUnavailable
from compose_agent.dockerd.verbs.model import VerbRequest
from compose_agent.tracing import attributes as names
from compose_agent.tracing.server import answered, server_span
from compose_agent.typed import from_json
from compose_agent.web.response import Response, body_of
from compose_agent.web.server import Limits

logger = logging.getLogger(__name__)

SOCKET = "act"
PATH = "/v1/verbs"
# Each holds a thread for as long as a container needs to stop; the others answer how things stand.
MOST_AT_ONCE = 24
LIMITS = Limits(threads=MOST_AT_ONCE + 8, header_bytes=16 * 1024, body_bytes=64 * 1024)

_ID = r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}"
_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}"
# What the verbs whose names begin so are done to; all others are done to a container, by its full id.
_TARGETS = {
    "compose": re.compile(rf"[a-z0-9][a-z0-9_-]{{0,127}}/{_NAME}"),  # PROJECT/SERVICE
    "swarm": re.compile(r"[a-z0-9]{25}"),  # the id of a service
}
_CONTAINER = re.compile(r"[0-9a-f]{64}")

_Word = Annotated[str, msgspec.Meta(max_length=256)]
_Value = None | bool | int | float | _Word | Annotated[list[_Word], msgspec.Meta(max_length=64)]


class _Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A VerbRequest as it is taken here: every part has its form and its bounds."""

    id: Annotated[str, msgspec.Meta(pattern=rf"\A{_ID}\Z")]
    verb: Annotated[str, msgspec.Meta(max_length=64)]
    target: Annotated[str, msgspec.Meta(max_length=256)]
    arguments: Annotated[
        dict[Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_]{0,39}\Z")], _Value],
        msgspec.Meta(max_length=16),
    ] = {}
    reason: Annotated[str, msgspec.Meta(max_length=1024)] = ""
    begin_by: Moment | None = None


_STANDING = re.compile(rf"{PATH}/({_ID})")


class ActApp:
    """Answers on the act socket, with ``actor`` for the verbs whose names are in ``verbs``."""

    def __init__(self, actor: Actor, verbs: Collection[str], metrics: BrokerMetrics) -> None:
        self._actor = actor
        self._verbs = verbs
        self._metrics = metrics
        self._room = threading.BoundedSemaphore(MOST_AT_ONCE)
        self._refusals = RefusalLog()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        return self._response(environ)(environ, start_response)

    def _response(self, environ: WSGIEnvironment) -> Response:
        target = str(environ["REQUEST_URI"])
        route = PATH if target == PATH else f"{PATH}/{{id}}"
        try:
            response = self._routed(environ, target)
        except NotServed as refusal:
            self._metrics.refused(SOCKET, refusal.reason)
            self._refusals.note(environ, SOCKET, refusal.reason)
            return Response.json(refusal.status, {"message": str(refusal)})
        except ActorUnavailable as error:
            logger.warning("no verb can be done", extra={"error": str(error)})
            response = Response.json(503, {"message": str(error)})
        self._metrics.answered(SOCKET, route, response.status)
        return response

    def _routed(self, environ: WSGIEnvironment, target: str) -> Response:
        method = environ["REQUEST_METHOD"]
        if method == "POST" and target == PATH:
            return self._perform(_request(environ, self._verbs), environ)
        if method == "GET" and (found := _STANDING.fullmatch(target)):
            return Response.json(200, {"standing": self._actor.standing(found[1])})
        sentence = f"this socket takes POST {PATH} and GET {PATH}/ID, and nothing else"
        raise NotServed("path", sentence, 404)

    def _perform(self, request: VerbRequest, environ: WSGIEnvironment) -> Response:
        about = {"id": request.id, "verb": request.verb, "target": request.target}
        with server_span(environ, PATH) as span, self._turn():
            span.set_attributes(
                {names.VERB: request.verb, names.REQUEST: request.id, names.CONTAINER_ID: request.target}
            )
            logger.info("asked for", extra={**about, "reason": request.reason, **peer_of(environ)})
            try:
                outcome = self._actor.perform(request)
            except ActorUnavailable:
                answered(span, 503)
                self._metrics.performed(request.verb, "unavailable")
                raise
            span.set_attribute(names.RESULT, str(outcome.result))
            answered(span, 200)
            self._metrics.performed(request.verb, outcome.result)
            logger.info("ended", extra={**about, "result": outcome.result, "why": outcome.reason})
        return Response(200, msgspec.json.encode(outcome), "application/json")

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._room.acquire(blocking=False):
            raise NotServed("busy", f"{MOST_AT_ONCE} verbs are under way: ask again later", 503)
        try:
            yield
        finally:
            self._room.release()


def _request(environ: WSGIEnvironment, verbs: Collection[str]) -> VerbRequest:
    """Return the request in a body; raises NotServed."""
    if environ.get("CONTENT_TYPE") != "application/json" or "HTTP_TRANSFER_ENCODING" in environ:
        sentence = "a request is JSON with its length: Content-Type application/json and Content-Length"
        raise NotServed("form", sentence, 400)
    body = body_of(environ)
    if str(len(body)) != environ.get("CONTENT_LENGTH"):
        raise NotServed("form", "the request is not as long as its Content-Length says", 400)
    try:
        asked = from_json(body, _Asked)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise NotServed("request", f"this is no request for a verb: {error}", 400) from error
    if asked.verb not in verbs:
        raise NotServed("verb", f"there is no such verb, only {', '.join(sorted(verbs))}", 400)
    if not _TARGETS.get(asked.verb.partition("_")[0], _CONTAINER).fullmatch(asked.target):
        raise NotServed("target", f"the target has not the form that {asked.verb} takes", 400)
    return VerbRequest(**msgspec.structs.asdict(asked))
