"""The read socket: questions on the list are asked of the Engine, and its answers passed on as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from http import HTTPStatus
from typing import Protocol
from wsgiref.types import StartResponse, WSGIEnvironment

from broker.metrics import BrokerMetrics
from broker.peers import RefusalLog
from broker.redaction import Unreadable, redacted
from broker.routes import NotServed, Question, judge
from broker.streams import Streams
from compose_agent.dockerd.passage import Passage
from compose_agent.errors import EngineError, EngineTimeout
from compose_agent.web.longanswer import CLIENT, AnswerCutOff
from compose_agent.web.response import Response
from compose_agent.web.server import Limits

SOCKET = "read"
# For answers that have an end, beside the threads that streams hold.
SHORT_ANSWERS = 16
# An answer that is redacted is held whole: the services of a large swarm are some MB.
MAX_REDACTED_BYTES = 64 * 1024 * 1024
# What clients of the Engine look at, besides the length of an answer that goes out as it came.
_HEADERS = (
    "Content-Type",
    "Api-Version",
    "Builder-Version",
    "Docker-Experimental",
    "Ostype",
    "Server",
    "Swarm",
    "Cache-Control",
    "Pragma",
)
_LENGTH = "Content-Length"


def limits(most_streams: int) -> Limits:
    """Return what the socket's server needs for so many streams; a body is never wanted."""
    return Limits(threads=most_streams + SHORT_ANSWERS, header_bytes=32 * 1024, body_bytes=64 * 1024)


class Engine(Protocol):
    """Asks the Engine; raises EngineError. See EngineClient."""

    def pass_on(  # noqa: D102
        self, method: str, path: str, query: Sequence[tuple[str, str]], timeout: float
    ) -> Passage: ...


class ReadApp:
    """Answers on the read socket; ``shown`` returns globs of environment variables that are not hidden."""

    def __init__(
        self, engine: Engine, streams: Streams, metrics: BrokerMetrics, shown: Callable[[], Sequence[str]]
    ) -> None:
        self._engine = engine
        self._streams = streams
        self._metrics = metrics
        self._shown = shown
        self._refusals = RefusalLog()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        try:
            _refuse_more_than_a_question(environ)
            question = judge(str(environ["REQUEST_METHOD"]), str(environ["REQUEST_URI"]))
            return self._answer(question, environ, start_response)
        except NotServed as refusal:
            self._metrics.refused(SOCKET, refusal.reason)
            self._refusals.note(environ, SOCKET, refusal.reason)
            return _message(refusal.status, str(refusal))(environ, start_response)

    def _answer(
        self, question: Question, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Ask the Engine and pass on what it says; what is held for that is let go with the last piece."""
        with ExitStack() as held:
            if question.route.streams:
                held.enter_context(self._streams.room())
            try:
                passage = self._asked(question)
                held.callback(passage.close)
                if question.route.redacts and passage.status == HTTPStatus.OK:
                    return self._redacted(passage)(environ, start_response)
            except (EngineError, Unreadable) as error:
                return self._failed(question, error)(environ, start_response)
            write = start_response(_status(passage.status), _headers(passage, (*_HEADERS, _LENGTH)))
            if question.route.streams:
                held.enter_context(self._streams.ends_with(environ[CLIENT], passage))
                write(b"")  # the head: a stream's first piece may be hours away
            return _pieces(passage, held.pop_all())

    def _asked(self, question: Question) -> Passage:
        route = question.route
        passage = self._engine.pass_on(question.method, question.path, question.query, route.seconds)
        self._metrics.answered(SOCKET, route.name, passage.status)
        return passage

    def _redacted(self, passage: Passage) -> Response:
        body = passage.body(MAX_REDACTED_BYTES)
        # Nothing of HEAD is read, and so nothing is to be redacted.
        shown = redacted(body, self._shown()) if body else b""
        return Response(200, shown, "application/json", tuple(_headers(passage, _HEADERS[1:])))

    def _failed(self, question: Question, error: EngineError | Unreadable) -> Response:
        status = 504 if isinstance(error, EngineTimeout) else 502
        self._metrics.answered(SOCKET, question.route.name, status)
        return _message(status, f"the broker has no answer from the Engine: {error}")


def _refuse_more_than_a_question(environ: WSGIEnvironment) -> None:
    """Raise NotServed for what could make a question something else on its way."""
    if environ.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in environ:
        raise NotServed("body", "this socket takes questions without a body")
    if "HTTP_UPGRADE" in environ or "upgrade" in str(environ.get("HTTP_CONNECTION", "")).lower():
        raise NotServed("upgrade", "this socket speaks plain HTTP only: no attach, no exec, no sessions")


def _pieces(passage: Passage, held: ExitStack) -> Iterator[bytes]:
    with held:
        try:
            yield from passage.chunks()
        except EngineError as error:
            raise AnswerCutOff(str(error)) from error


def _headers(passage: Passage, names: Sequence[str]) -> list[tuple[str, str]]:
    found = ((name, passage.header(name)) for name in names)
    return [(name, value) for name, value in found if value is not None]


def _status(code: int) -> str:
    try:
        return f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        return f"{code} Unknown"


def _message(status: int, sentence: str) -> Response:
    """Return an error in the Engine's own shape, which every client of its shows to people."""
    return Response.json(status, {"message": sentence})
