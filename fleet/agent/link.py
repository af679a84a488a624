"""The loop that keeps the link: connect, speak, listen, and begin anew after whatever happens."""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from compose_agent.errors import ComposeAgentError
from compose_agent.web.ratelimit import TokenBucket
from compose_agent.web.webconfig import RateLimit
from fleet.agent.conversation import Conversation, Orders
from fleet.agent.pace import Backoff, Choice
from fleet.agent.transport import ANSWER_SECONDS, LinkError, Transport
from fleet.opamp.opamp_pb2 import AgentToServer, CustomMessage, ServerToAgent

logger = logging.getLogger(__name__)

# How soon a change on this host is told, at the latest; asking the roles costs some milliseconds.
NEWS_SECONDS = 10.0
# Who is ill tells sooner of getting well, as at a start, where the link is there before the other roles are.
ILL_NEWS_SECONDS = 2.0
# A server that is never content would have the two speak without an end, hundreds of times a second. What is
# not said at once is said with the next message.
_AT_ONCE = RateLimit(interval=1.0, burst=3)
# As many as tell in which library a thread hangs, and for whom.
_CALLS = 12
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


class Trial(Protocol):
    """A credential that is tried: a connection with it, and what becomes of it."""

    def transport(self, *, polls: bool) -> Transport:
        """Return a connection with it; raises ComposeAgentError."""

    def commit(self) -> None:
        """Come with it from now on; raises StateError."""

    def reject(self, reason: str) -> None:
        """Forget it."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a link is made of.

    ``begin`` is told of each new transport before its first message, ``heard`` of what the manager says,
    ``refused`` when it does not let the agent in. ``trial`` gives a credential to go on with, once;
    ``is_urgent`` tells whether something is to be said at once.
    """

    websocket: Callable[[], Transport]
    polling: Callable[[], Transport]
    converse: Callable[[int], Conversation]  # with the number of its first message
    begin: Callable[[Transport], None]
    interval: Callable[[], float]
    set_interval: Callable[[float], None]
    heard: Callable[[ServerToAgent], None]
    refused: Callable[[], None] = lambda: None
    trial: Callable[[], Trial | None] = lambda: None
    is_urgent: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True)
class Moved:
    """The connection goes on over another one."""

    transport: Transport


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

    def where(self) -> str:
        """Return what the link's thread is doing, the innermost call last: for who asks why it is stuck."""
        frame = sys._current_frames().get(self._thread.ident or 0)  # noqa: SLF001 - there is no other way
        calls = traceback.extract_stack(frame)[-_CALLS:] if frame else []
        return " > ".join(f"{each.name} ({Path(each.filename).name}:{each.lineno})" for each in calls)

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
                if error.refused:
                    self._parts.refused()
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
                while isinstance(outcome := self._keep(transport, conversation, polling=polling), Moved):
                    transport.close()
                    transport = outcome.transport
                return outcome
            finally:
                self._live = None
                self._sequence = conversation.sequence
        finally:
            self._transport = None
            transport.close()

    def _keep(
        self, transport: Transport, conversation: Conversation, *, polling: bool
    ) -> float | Moved | None:
        """Speak and listen until the connection ends, the agent stops, or WebSocket is to be tried again."""
        clock = time.monotonic
        until = clock() + self._choice.spell() if polling else float("inf")
        sent, answered = self._say(transport, conversation), False
        news_at = clock() + _news_after(conversation)
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
                if moved := self._heard(reply, orders, transport, conversation):
                    return moved
                more = polling and reply.HasField("custom_message")  # there may be another one
                if (self._follow(orders, transport) or more) and self._at_once.take():
                    sent, answered = self._say(transport, conversation), False
                    continue
            elif not answered and clock() - sent > ANSWER_SECONDS:
                raise LinkError(f"the manager has not answered for {ANSWER_SECONDS:g} s")
            news = clock() >= news_at and conversation.has_news()
            if clock() >= due or news or self._is_urgent(conversation):
                sent, answered = self._say(transport, conversation), False
            if clock() >= news_at:
                news_at = clock() + _news_after(conversation)
        if self._stopping.is_set():
            self._live = None
            self._send(transport, conversation, conversation.goodbye())
        return None

    def _heard(
        self, reply: ServerToAgent, orders: Orders, transport: Transport, conversation: Conversation
    ) -> Moved | None:
        if not orders.error:
            self._parts.heard(reply)
        trial = self._parts.trial()
        return self._try(trial, transport, conversation) if trial else None

    def _try(self, trial: Trial, before: Transport, conversation: Conversation) -> Moved | None:
        """Speak over a connection with a new credential, and go on over that if the manager answers.

        Both are open meanwhile: nobody is to take an agent for gone because it has a new credential.
        """
        fresh: Transport | None = None
        try:
            fresh = trial.transport(polls=before.polls)
            fresh.open()
            self._progressed()
        except ComposeAgentError as error:
            trial.reject(str(error))
            if fresh:
                fresh.close()
            return None
        self._live = None  # over the one before nothing is said any more: it would be taken for another agent
        try:
            conversation.begin_anew()
            self._send(fresh, conversation, conversation.heartbeat())
            self._require_answer(fresh, conversation)
            trial.commit()
        except ComposeAgentError as error:
            trial.reject(str(error))
            fresh.close()
            raise LinkError(f"a new credential does not work: {error}") from error
        self._transport = fresh
        return Moved(fresh)

    def _require_answer(self, transport: Transport, conversation: Conversation) -> None:
        reply = transport.receive(ANSWER_SECONDS)
        self._progressed()
        if reply is None:
            raise LinkError(f"the manager has not answered for {ANSWER_SECONDS:g} s")
        if reply.agent_identification.new_instance_uid:
            raise LinkError("the manager takes the agent for another one")
        if error := conversation.take(reply).error:
            raise LinkError(error)
        self._parts.heard(reply)

    def _is_urgent(self, conversation: Conversation) -> bool:
        return conversation.is_urgent() or self._parts.is_urgent()

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


def _news_after(conversation: Conversation) -> float:
    return ILL_NEWS_SECONDS if conversation.ill else NEWS_SECONDS
