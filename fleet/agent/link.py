"""The loop that keeps the link: connect, speak, listen, and begin anew after whatever happens."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from compose_agent.web.ratelimit import TokenBucket
from compose_agent.web.webconfig import RateLimit
from fleet.agent.conversation import Conversation, Orders
from fleet.agent.pace import Backoff, Choice
from fleet.agent.transport import ANSWER_SECONDS, LinkError, Transport
from fleet.opamp.opamp_pb2 import AgentToServer, CustomMessage, ServerToAgent

logger = logging.getLogger(__name__)

# How soon a change on this host is told, at the latest; asking the roles costs some milliseconds.
NEWS_SECONDS = 10.0
# A server that is never content would have the two speak without an end, hundreds of times a second. What is
# not said at once is said with the next message.
_AT_ONCE = RateLimit(interval=1.0, burst=3)
# How long the loop waits at a time: a stop, with a goodbye to the manager, takes no longer.
_WAIT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Status:
    """How the link stands; ``since`` is Unix time, ``error`` what was last wrong."""

    connected: bool = False
    transport: str = ""
    since: float = 0.0
    error: str = ""
    connections: int = 0


@dataclass(frozen=True, slots=True)
class Parts:
    """What a link is made of.

    ``begin`` is told of each new transport before its first message, ``heard`` of what the manager says.
    """

    websocket: Callable[[], Transport]
    polling: Callable[[], Transport]
    converse: Callable[[int], Conversation]  # with the number of its first message
    begin: Callable[[Transport], None]
    interval: Callable[[], float]
    set_interval: Callable[[float], None]
    heard: Callable[[ServerToAgent], None]


class Link:
    """One thread. ``progress`` is when it last did something, of the monotonic clock: a watchdog reads it."""

    def __init__(self, parts: Parts, *, polls_only: bool) -> None:
        self._parts = parts
        self._choice = Choice(polls_only=polls_only)
        self._backoff = Backoff()
        self._at_once = TokenBucket(_AT_ONCE)
        self._stopping = threading.Event()
        self._transport: Transport | None = None
        self._speaking = threading.Lock()  # messages leave in the order of their numbers
        self._live: tuple[Transport, Conversation] | None = None
        self._sequence = 0
        self._thread = threading.Thread(target=self._run, name="agent-link", daemon=True)
        self.progress = time.monotonic()
        self.status = Status(since=time.time())

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, patience: float) -> None:
        """Say goodbye if that is possible within ``patience`` seconds, and end."""
        self._stopping.set()
        self._thread.join(patience)
        self.abandon()

    def abandon(self) -> None:
        """End without waiting for anything."""
        self._stopping.set()
        if transport := self._transport:
            threading.Thread(target=transport.close, name="agent-link-close", daemon=True).start()

    def post(self, message: CustomMessage) -> bool:
        """Send a message beside the heartbeats, from any other thread; tell whether it was sent."""
        live = self._live
        if live is None:
            return False
        try:
            self._send(*live, AgentToServer(custom_message=message))
        except LinkError as error:  # the link's own thread notices, and begins anew
            logger.debug("a message did not reach the manager", extra={"error": str(error)})
            return False
        return True

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._progressed()
            pause: float | None = None
            try:
                pause = self._connection()
            except LinkError as error:
                pause = error.pause
                self._failed(str(error))
            self._stopping.wait(self._backoff.next(pause))

    def _connection(self) -> float | None:
        """Make one connection and keep it; return how long the manager wants to be left alone, if it does."""
        polling = self._choice.polling
        transport = self._transport = self._parts.polling() if polling else self._parts.websocket()
        try:
            transport.open()
            self._progressed()
            self._parts.begin(transport)
            conversation = self._parts.converse(self._sequence)
            try:
                return self._keep(transport, conversation, polling=polling)
            finally:
                self._live = None
                self._sequence = conversation.sequence
        finally:
            self._transport = None
            transport.close()

    def _keep(self, transport: Transport, conversation: Conversation, *, polling: bool) -> float | None:
        """Speak and listen until the connection ends, the agent stops, or WebSocket is to be tried again."""
        clock = time.monotonic
        until = clock() + self._choice.spell() if polling else float("inf")
        sent, answered, news_at = self._say(transport, conversation), False, clock() + NEWS_SECONDS
        self._live = transport, conversation
        while not self._stopping.is_set() and clock() < until:
            due = sent + self._parts.interval()
            reply = transport.receive(min(_WAIT_SECONDS, max(0.0, min(due, news_at) - clock())))
            self._progressed()
            if reply is not None:
                answered = True
                orders = conversation.take(reply)
                if orders.pause is not None:
                    return self._rest(orders, transport, conversation)
                if not orders.error:
                    self._parts.heard(reply)
                more = polling and reply.HasField("custom_message")  # there may be another one
                if (self._follow(orders, transport) or more) and self._at_once.take():
                    sent, answered = self._say(transport, conversation), False
                    continue
            elif not answered and clock() - sent > ANSWER_SECONDS:
                raise LinkError(f"the manager has not answered for {ANSWER_SECONDS:g} s")
            news = clock() >= news_at and conversation.has_news()
            if clock() >= due or news or conversation.is_urgent():
                sent, answered = self._say(transport, conversation), False
            if clock() >= news_at:
                news_at = clock() + NEWS_SECONDS
        if self._stopping.is_set():
            self._live = None
            self._send(transport, conversation, conversation.goodbye())
        return None

    def _say(self, transport: Transport, conversation: Conversation) -> float:
        self._send(transport, conversation, conversation.heartbeat())
        self._progressed()
        return time.monotonic()

    def _send(self, transport: Transport, conversation: Conversation, message: AgentToServer) -> None:
        with self._speaking:
            transport.send(conversation.numbered(message))

    def _follow(self, orders: Orders, transport: Transport) -> bool:
        """Do what an answer asks for; tell whether there is something to say at once."""
        if orders.error:
            logger.warning("the manager refuses a message", extra={"error": orders.error})
        else:
            self._worked(transport)
        if orders.interval is not None and orders.interval != self._parts.interval():
            self._parts.set_interval(orders.interval)
            return True
        return orders.at_once

    def _rest(self, orders: Orders, transport: Transport, conversation: Conversation) -> float | None:
        """Leave the manager alone, with a goodbye before the connection's end as the specification has it."""
        self._failed(orders.error or "the manager is overloaded")
        self._live = None
        if not transport.polls:
            with suppress(LinkError):
                self._send(transport, conversation, conversation.goodbye())
        return orders.pause

    def _worked(self, transport: Transport) -> None:
        self._backoff.reset()
        self._choice.worked(polling=transport.polls)
        if not self.status.connected or self.status.transport != transport.name:
            connections = self.status.connections + 1
            self.status = Status(
                connected=True, transport=transport.name, since=time.time(), connections=connections
            )
            logger.info("connected to the manager", extra={"transport": transport.name})

    def _failed(self, error: str) -> None:
        self._choice.failed()
        if self.status.connected or self.status.error != error:
            logger.warning("the link to the manager is down, it is tried again", extra={"error": error})
        since = time.time() if self.status.connected else self.status.since
        self.status = replace(self.status, connected=False, error=error, since=since)

    def _progressed(self) -> None:
        self.progress = time.monotonic()
