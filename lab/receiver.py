"""A webhook receiver that takes note of all it gets and answers as it is told: slowly, with 500, not at all.

::

    with ScriptedReceiver() as receiver:
        receiver.answer(503)
        ...
        receiver.wait_for_posts(2)
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from compose_agent.address import Address
from compose_agent.web.server import Limits, WebServer
from lab import LabError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

# Alertmanager tries again after half a second, then ever more slowly; and the machine is shared.
PATIENCE_S = 60.0
# One thread is held by each request that hangs.
_THREADS = 32


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request gets: a status after some seconds, and where a redirect leads to."""

    status: int = 200
    after: float = 0.0
    location: str = ""


@dataclass(frozen=True, slots=True)
class Post:
    """A request that came: when (monotonic seconds), how, with which body, and what it was answered."""

    at: float
    method: str
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    status: int

    @property
    def alerts(self) -> list[tuple[str, str]]:
        """The alerts in it: each one's name and status, in order."""
        return [(alert["labels"]["alertname"], alert["status"]) for alert in self.body.get("alerts", ())]


class ScriptedReceiver:
    """A receiver on a free loopback port; ``posts`` grows with what it gets, before it is answered."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self._answer = Answer()
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._server = self._serving(0)

    @property
    def url(self) -> str:
        """The URL of its webhook, which stays the same when it was down."""
        return f"{self._server.url}/webhook"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def answer(self, status: int, *, after: float = 0.0, location: str = "") -> None:
        """Answer like this from now on."""
        self._answer = Answer(status, after, location)

    def down(self) -> None:
        """Listen no more; requests that hang are let go."""
        self._closing.set()
        self._server.stop()

    def up(self) -> None:
        """Listen again on the same port."""
        assert isinstance(self._server.address, Address)
        self._closing.clear()
        self._server = self._serving(self._server.address.port)
        self._server.start()

    def wait_for_posts(self, count: int, timeout: float = PATIENCE_S) -> Sequence[Post]:
        """Return the first posts as soon as there are so many; LabError after ``timeout`` seconds."""
        return self.wait_for(lambda posts: len(posts) >= count, timeout)[:count]

    def wait_for(
        self, enough: Callable[[Sequence[Post]], bool], timeout: float = PATIENCE_S
    ) -> Sequence[Post]:
        """Return all posts as soon as they are what is waited for; LabError after ``timeout`` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: enough(self.posts), timeout):
                got = [(post.status, post.alerts) for post in self.posts]
                raise LabError(f"not within {timeout:g} s; {len(got)} posts came: {got}")
            return list(self.posts)

    def quiet_for(self, seconds: float) -> Sequence[Post]:
        """Let so many seconds pass, and return what has come in them."""
        before = len(self.posts)
        time.sleep(seconds)
        return self.posts[before:]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Take a request (WSGI)."""
        answer = self._answer
        data = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if len(data) < int(environ.get("CONTENT_LENGTH") or 0):
            # The sender has died while it sent.
            start_response("400 Bad Request", [("Content-Length", "0")])
            return []
        self._note(_post(environ, data, answer.status))
        self._closing.wait(answer.after)
        location = [("Location", answer.location)] if answer.location else []
        phrase = HTTPStatus(answer.status).phrase
        start_response(f"{answer.status} {phrase}", [("Content-Length", "0"), *location])
        return []

    def _note(self, post: Post) -> None:
        with self._changed:
            self.posts.append(post)
            self._changed.notify_all()

    def _serving(self, port: int) -> WebServer:
        return WebServer(Address("127.0.0.1", port), self, limits=Limits(threads=_THREADS))


def _post(environ: WSGIEnvironment, data: bytes, status: int) -> Post:
    return Post(
        at=time.monotonic(),
        method=environ["REQUEST_METHOD"],
        path=environ["PATH_INFO"],
        headers={
            key[5:].replace("_", "-").title(): text for key, text in environ.items() if key[:5] == "HTTP_"
        },
        body=json.loads(data) if data else {},
        status=status,
    )
