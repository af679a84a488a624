"""What each agent is to have, what it has, and what it says of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from fleet.manager.configs.compiled import Compiled, Compiler
from fleet.manager.configs.layers import Layers
from fleet.manager.configs.model import Event, Status
from fleet.manager.configs.store import Report
from fleet.manager.model import Description, Node, Peer
from fleet.manager.registry import Registry
from fleet.opamp.capabilities import AgentCan
from fleet.opamp.frames import to_frame
from fleet.opamp.opamp_pb2 import (
    AgentToServer,
    RemoteConfigStatuses_APPLIED,
    RemoteConfigStatuses_APPLYING,
    RemoteConfigStatuses_FAILED,
    ServerToAgent,
)

# An agent that has not said what it made of a configuration gets it again, at most so often.
OFFER_AGAIN_SECONDS = 60.0
# One that has spoken of another one since sooner: it was doing that when it was sent this one.
_CONTRADICTED_SECONDS = 2.0
_LONGEST_REASON = 2000
_LONGEST_EVENT_REASON = 300
# Ours have 32 bytes; whoever speaks of a longer one has it from somebody else.
_LONGEST_HASH = 64
# While they cannot be written, some tens of megabytes; newer ones are not in the history then.
_MOST_EVENTS = 50_000
# Agents that are gone are forgotten here when there are so many more than nodes.
_MOST_GONE = 1000
_STATUSES = {
    RemoteConfigStatuses_APPLIED: Status.APPLIED,
    RemoteConfigStatuses_APPLYING: Status.APPLYING,
    RemoteConfigStatuses_FAILED: Status.FAILED,
}


@dataclass(eq=False, slots=True)
class Agent:
    """One agent. Hashes in bytes are of configurations, those in texts the same in hexadecimal digits.

    ``applied`` and ``failed`` are the last of each; ``reported`` is the one that it speaks of now.
    """

    uid: bytes
    offered_ever: bool = False
    reported: bytes = b""
    status: Status = Status.UNSET
    reason: str = ""
    applied: str = ""
    failed: str = ""
    failed_reason: str = ""
    desired: Compiled | None = None
    epoch: int = -1
    description: Description | None = None
    offered: bytes = b""
    offered_at: float = float("-inf")
    offered_over: Peer | None = None
    contradicts: bool = False  # since then

    def status_of(self, wanted: Compiled) -> Status:
        """Return what it says of a configuration."""
        return self.status if self.reported == wanted.hash else Status.UNSET


class Learner(Protocol):
    """What the desk needs. Called with the registry's lock held; does no I/O."""

    def learn(self, node: Node, message: AgentToServer) -> None:
        """Take note of what an agent says of its configuration."""

    def answer(self, node: Node, peer: Peer, reply: ServerToAgent) -> None:
        """Put into an answer what the agent is to have, unless it has that or was just sent it."""


class Office:
    """See :class:`Learner`; ``heard`` is called for each change of what an agent reports."""

    def __init__(
        self,
        registry: Registry,
        layers: Layers,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._registry = registry
        self._layers = layers
        self._clock = clock
        self._wall = wall
        self._compiler = Compiler()
        self._agents: dict[bytes, Agent] = {}
        self._changed: set[bytes] = set()
        self._events: list[Event] = []
        self.heard = threading.Event()

    def restore(self, reports: Iterable[Report]) -> None:
        """Take up what is known from before."""
        for one in reports:
            self._agents[one.uid] = Agent(
                uid=one.uid,
                offered_ever=one.offered,
                reported=bytes.fromhex(one.reported),
                status=one.status,
                applied=one.applied,
                failed=one.failed,
                failed_reason=one.reason,
            )

    def agent(self, uid: bytes) -> Agent:
        """Return what is known of an agent; with the registry's lock held."""
        return self._agents.get(uid) or self._agents.setdefault(uid, Agent(uid))

    def learn(self, node: Node, message: AgentToServer) -> None:
        """Take note of what an agent says of its configuration."""
        if not message.HasField("remote_config_status"):
            return
        told = message.remote_config_status
        status = _STATUSES.get(told.status, Status.UNSET)
        digest, reason = told.last_remote_config_hash[:_LONGEST_HASH], told.error_message[:_LONGEST_REASON]
        agent = self.agent(node.uid)
        if (agent.reported, agent.status, agent.reason) == (digest, status, reason):
            return
        agent.reported, agent.status, agent.reason = digest, status, reason
        agent.contradicts = bool(agent.offered) and digest != agent.offered
        if status is Status.APPLIED:
            agent.applied = digest.hex()
        elif status is Status.FAILED:
            agent.failed, agent.failed_reason = digest.hex(), reason
        if status is not Status.UNSET and len(self._events) < _MOST_EVENTS:
            told_of = reason[:_LONGEST_EVENT_REASON]
            self._events.append(Event(node.uid, node.node_id, self._wall(), digest.hex(), status, told_of))
        self._changed.add(node.uid)
        self.heard.set()

    def answer(self, node: Node, peer: Peer, reply: ServerToAgent) -> None:
        """Put into an answer what the agent is to have."""
        if (wanted := self._wanted(node)) is None:
            return
        agent, now = self.agent(node.uid), self._clock()
        same = agent.offered == wanted.hash and (agent.offered_over is peer or not peer.lasting)
        pause = _CONTRADICTED_SECONDS if agent.contradicts else OFFER_AGAIN_SECONDS
        if not same or now - agent.offered_at >= pause:
            self._note_offer(agent, wanted, peer)
            reply.remote_config.CopyFrom(wanted.message)

    def push(self, uids: Iterable[bytes]) -> None:
        """Send what they are to have to agents that are connected; the others ask by themselves."""
        sending: list[tuple[Callable[[bytes], bool], bytes]] = []
        with self._registry.lock():
            for uid in uids:
                node = self._registry.get(uid)
                if node is None or node.peer is None or node.peer.push is None or node.disabled:
                    continue
                if (wanted := self._wanted(node)) is None:
                    continue
                self._note_offer(self.agent(uid), wanted, node.peer)
                message = ServerToAgent(instance_uid=uid, remote_config=wanted.message)
                sending.append((node.peer.push, to_frame(message)))
        for push, frame in sending:
            push(frame)

    def desired(self, node: Node) -> Compiled | None:
        """Return what an agent is to have, None where nothing was ever meant for it."""
        agent = self.agent(node.uid)
        if agent.epoch != self._layers.epoch or agent.description is not node.description:
            agent.desired = self._compiled(node, agent)
            agent.epoch, agent.description = self._layers.epoch, node.description
        return agent.desired

    def take_changes(self) -> tuple[list[Report], list[Event]]:
        """Return what has been heard since the last call, to be written."""
        with self._registry.lock():
            reports = [_report(self._agents[uid]) for uid in self._changed if uid in self._agents]
            events, self._events = self._events, []
            self._changed.clear()
            if reports:
                self._forget_gone()
            return reports, events

    def give_back(self, reports: Iterable[Report], events: list[Event]) -> None:
        """Take again what could not be written."""
        with self._registry.lock():
            self._changed.update(one.uid for one in reports)
            self._events = (events + self._events)[:_MOST_EVENTS]

    def _wanted(self, node: Node) -> Compiled | None:
        """Return what an agent is to have and, as far as is known, has not yet."""
        if not accepts(node) or node.description is None:
            return None
        wanted = self.desired(node)
        return None if wanted is None or self.agent(node.uid).reported == wanted.hash else wanted

    def _compiled(self, node: Node, agent: Agent) -> Compiled | None:
        if node.description is None:
            return None
        versions = [one for one in self._layers.of(node.uid, node.description) if one.body is not None]
        # Who was never sent anything may have a configuration of its own making: nothing replaces it.
        return self._compiler(versions) if versions or agent.offered_ever else None

    def _note_offer(self, agent: Agent, wanted: Compiled, peer: Peer) -> None:
        agent.offered, agent.offered_at, agent.offered_over = wanted.hash, self._clock(), peer
        agent.contradicts = False
        if not agent.offered_ever:
            agent.offered_ever = True
            self._changed.add(agent.uid)

    def _forget_gone(self) -> None:
        there = self._registry.read(lambda nodes: {node.uid for node in nodes})
        if len(self._agents) > len(there) + _MOST_GONE:
            self._agents = {uid: agent for uid, agent in self._agents.items() if uid in there}


def accepts(node: Node) -> bool:
    """Tell whether an agent takes configurations."""
    return bool(node.capabilities & AgentCan.ACCEPT_REMOTE_CONFIG)


def reports(node: Node) -> bool:
    """Tell whether an agent says how it took a configuration."""
    return bool(node.capabilities & AgentCan.REPORT_REMOTE_CONFIG)


def _report(agent: Agent) -> Report:
    return Report(
        uid=agent.uid,
        offered=agent.offered_ever,
        reported=agent.reported.hex(),
        status=agent.status,
        applied=agent.applied,
        failed=agent.failed,
        reason=agent.failed_reason,
    )
