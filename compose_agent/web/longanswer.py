"""Answers that go on for as long as both ends want them, such as a stream of events.

::

    with hang_ups.call(environ[CLIENT], stream.close):   # the client is gone: end what feeds the answer
        yield from stream.chunks()                        # AnswerCutOff: the client must see that it broke
"""

from __future__ import annotations

import logging
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from compose_agent.errors import ComposeAgentError

logger = logging.getLogger(__name__)

# The key of a request's environment under which its Client stands.
CLIENT = "compose_agent.client"


class AnswerCutOff(ComposeAgentError):
    """The rest of an answer that began cannot be had; the connection is closed without the answer's end."""


class Client(Protocol):
    """The client's end of the connection on which a request came."""

    def fileno(self) -> int:
        """Return the descriptor of the client's socket."""

    def be_patient(self, seconds: float) -> None:
        """Wait so long, where that is more than usual, for the client to take more of this answer."""


class HangUps:
    """One thread that sees clients go away while their answers are silent."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._calls: dict[int, Callable[[], None]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def call(self, client: Client, then: Callable[[], None]) -> Iterator[None]:
        """Call ``then``, once at most and in another thread, if the client goes away inside the block.

        A client that only ends its own side is gone too, as it is for Go's server, and so for Docker.
        """
        number = client.fileno()
        with self._lock:
            self._calls[number] = then
            self._epoll.register(number, select.EPOLLRDHUP | select.EPOLLONESHOT)
            self._begin()
        try:
            yield
        finally:
            with self._lock:
                del self._calls[number]
                with suppress(OSError):  # closed already: it has left by itself
                    self._epoll.unregister(number)

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="hang-ups", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            for number, _ in self._epoll.poll():
                # Under the lock: the descriptor's number cannot become another client's meanwhile.
                with self._lock:
                    if then := self._calls.get(number):
                        then()
