"""What the manager answers to each message of an agent, and what it learns from it. No I/O."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from fleet.manager.configs.office import Learner
from fleet.manager.credentials.doorman import Doorman, Objection
from fleet.manager.custom import Custom
from fleet.manager.describe import config_of, description_of, health_of
from fleet.manager.model import ALIVE, Node, Peer
from fleet.manager.registry import Registry
from fleet.opamp.capabilities import AgentAsks, AgentCan, ServerAsks, ServerCan
from fleet.opamp.opamp_pb2 import (
    AgentToServer,
    ServerErrorResponseType_BadRequest,
    ServerErrorResponseType_Unavailable,
    ServerToAgent,
)
from fleet.opamp.uid import is_uid, new_uid, uid_text

logger = logging.getLogger(__name__)

CAPABILITIES = (
    ServerCan.ACCEPT_STATUS
    | ServerCan.OFFER_REMOTE_CONFIG
    | ServerCan.ACCEPT_EFFECTIVE_CONFIG
    | ServerCan.ACCEPT_CONNECTION_REQUEST
    | ServerCan.OFFER_CONNECTION_SETTINGS
)
# An agent that has nothing to add answers the question for its whole state with the same as before: asking at
# each message would have both go on without an end, hundreds of times a second.
FULL_STATE_EVERY_SECONDS = 10.0
# A node that is switched off asks again so often whether it still is.
DISABLED_RETRY_SECONDS = 60.0
# So soon nobody will have made room; somebody has to forget nodes, or to find out who makes them up.
FULL_RETRY_SECONDS = 300.0
# Only our own agents read an interval without an address as "change nothing else".
OWN_SERVICE = "compose-agent"
_NANOSECONDS = 10**9
# Once could be chance: a host that was set back to a snapshot.
_CROSSINGS = 2
_FIRST_SEQUENCES = (0, 1)  # agents begin with either


@dataclass(frozen=True, slots=True)
class Counts:
    """What the desk has to say to the metrics; each is called with 1 or a reason."""

    refused: Callable[[str], None]
    full_state: Callable[[], None]
    gaps: Callable[[], None]


class Desk:
    """Takes messages; ``interval`` gives the seconds between heartbeats that our own agents are offered."""

    def __init__(
        self,
        registry: Registry,
        interval: Callable[[], float],
        counts: Counts,
        now: Callable[[], float],
        *,
        custom: Custom,
        configs: Learner,
        doorman: Doorman,
    ) -> None:
        self._registry = registry
        self._configs = configs
        self._custom = custom
        self._doorman = doorman
        self._interval = interval
        self._counts = counts
        self._now = now

    def answer(self, message: AgentToServer, peer: Peer) -> ServerToAgent:
        """Return the answer to a message that came over ``peer``; every message has one."""
        uid = message.instance_uid
        if not is_uid(uid):
            return self._refusal(uid, "uid", "instance_uid must be 16 bytes that are not all zero")
        with self._registry.lock():
            if answer := self._not_heard(uid, peer):
                return answer
            known = uid in peer.uids
            node = self._registry.hear(uid, peer, described=message.HasField("agent_description"))
            reply = ServerToAgent(instance_uid=uid, capabilities=CAPABILITIES)
            self._follow_sequence(node, message, peer, known=known)
            if self._is_clone(node, message, peer):
                return self._rename(node, peer, reply)
            self._learn(node, message, peer)
            self._custom.learn(node, message, peer, known=known)
            self._configs.learn(node, message)
            if message.HasField("agent_disconnect"):
                self._registry.leave(node, "the agent said goodbye")
                return reply
            self._watch_identity(node, message, peer, reply)
            self._registry.settle(node)
            if node.disabled:
                return _unavailable(uid, "this node is switched off at the manager", DISABLED_RETRY_SECONDS)
            self._ask_full_state(node, message, reply)
            self._offer_interval(node, reply)
            self._configs.answer(node, peer, reply)
        self._doorman.answer(message, peer, reply)
        if message.HasField("custom_message"):
            self._custom.take(node, message.custom_message)
        self._custom.answer(node, peer, reply, first=message.HasField("custom_capabilities"))
        return reply

    def malformed(self, reason: str) -> ServerToAgent:
        """Return the answer to bytes that are no message."""
        return self._refusal(b"", "malformed", reason)

    def _refusal(self, uid: bytes, reason: str, text: str) -> ServerToAgent:
        self._counts.refused(reason)
        reply = ServerToAgent(instance_uid=uid)
        reply.error_response.type = ServerErrorResponseType_BadRequest
        reply.error_response.error_message = text
        return reply

    def _not_heard(self, uid: bytes, peer: Peer) -> ServerToAgent | None:
        """Return the answer to an agent that there is no place for, or that is not who it says it is."""
        if self._registry.is_full(uid):
            self._counts.refused("full")
            return _unavailable(uid, "the manager has as many nodes as it can have", FULL_RETRY_SECONDS)
        objection = self._doorman.objection(uid, peer, self._registry.get(uid))
        return self._object(uid, peer, objection) if objection else None

    def _object(self, uid: bytes, peer: Peer, objection: Objection) -> ServerToAgent:
        """Return the answer to an agent that may not be who it says it is."""
        if not objection.rename:
            if peer.end:
                peer.end(objection.reason)  # behind the answer
            return self._refusal(uid, "not-allowed", objection.reason)
        self._counts.refused("not-allowed")
        reply = ServerToAgent(instance_uid=uid, capabilities=CAPABILITIES)
        reply.agent_identification.new_instance_uid = self._fresh(uid, peer)
        return reply

    def _is_clone(self, node: Node, message: AgentToServer, peer: Peer) -> bool:
        """Tell whether two agents that poll use the uid: two Engines, or two rows of numbers side by side."""
        if peer.lasting or node.uid in peer.offered:
            return False
        if node.crossings >= _CROSSINGS:
            node.crossings = 0
            return True
        if not message.HasField("agent_description") or node.description is None or node.state not in ALIVE:
            return False
        host = description_of(node.uid, message.agent_description).host_id
        return bool(host and node.description.host_id) and host != node.description.host_id

    def _rename(self, node: Node, peer: Peer, reply: ServerToAgent) -> ServerToAgent:
        self._registry.conflict(node)
        self._registry.settle(node)
        self._offer_uid(node, peer, reply)
        logger.warning("two agents use one instance uid", extra={"uid": uid_text(node.uid)})
        return reply

    def _follow_sequence(self, node: Node, message: AgentToServer, peer: Peer, *, known: bool) -> None:
        """Note whether messages are missing between the last one and this one."""
        number, last = message.sequence_num, node.sequence
        if number != last + 1:
            # Somebody alone never goes on with a row of numbers that they have left.
            node.crossings += not peer.lasting and number == node.strand + 1
            node.strand = last
        node.sequence = number
        described = message.HasField("agent_description")
        starts = not known and (number in _FIRST_SEQUENCES or described)
        if node.description and number != last + 1 and not starts:
            self._counts.gaps()
            node.missed = True
        # Whoever describes itself says everything, as at the start or when it was asked.
        node.missed = node.missed and not described

    def _learn(self, node: Node, message: AgentToServer, peer: Peer) -> None:
        if message.capabilities not in {0, node.capabilities}:
            node.capabilities = message.capabilities
            self._registry.mark(node)
        if message.HasField("health") or message.HasField("effective_config"):
            self._registry.mark(node)
        if message.HasField("agent_description"):
            placed = partial(self._doorman.environment, admitted=peer.admitted)
            self._registry.describe(node, description_of(node.uid, message.agent_description, placed))
        if message.HasField("health"):
            health = health_of(message.health)
            if health.healthy != (node.health is None or node.health.healthy):
                node.turned_at = node.heard_at
            node.health = health
        if message.HasField("effective_config"):
            node.config = config_of(message.effective_config)

    def _watch_identity(self, node: Node, message: AgentToServer, peer: Peer, reply: ServerToAgent) -> None:
        """Give a new uid to who asks for one, and to the second of two who use the same."""
        if original := peer.offered.pop(node.uid, None) or self._doorman.arrived(node.uid):
            peer.uids.discard(original)
            self._registry.resolve(original)
        if message.flags & AgentAsks.NEW_INSTANCE_UID:
            self._offer_uid(node, peer, reply)
        elif peer.lasting and node.peer is not None and node.peer is not peer:
            # It was replaced by another connection, and yet it speaks: there are two agents.
            self._registry.conflict(node)
            self._offer_uid(node, peer, reply)
            logger.warning("two agents use one instance uid", extra={"uid": uid_text(node.uid)})

    def _offer_uid(self, node: Node, peer: Peer, reply: ServerToAgent) -> None:
        reply.agent_identification.new_instance_uid = self._fresh(node.uid, peer)

    def _fresh(self, uid: bytes, peer: Peer) -> bytes:
        """Return the uid for an agent that has come with another one's, the same until it takes it."""
        known = next((new for new, old in peer.offered.items() if old == uid), None)
        if known is not None:
            return known
        fresh = new_uid()
        peer.offered[fresh] = uid
        self._doorman.renamed(uid, fresh)
        return fresh

    def _ask_full_state(self, node: Node, message: AgentToServer, reply: ServerToAgent) -> None:
        """Ask for what is missing, now or with a later answer: never twice within a while."""
        if message.HasField("agent_description") or not (node.missed or node.description is None):
            return
        now = self._now()
        if now - node.asked_full_at >= FULL_STATE_EVERY_SECONDS:
            node.asked_full_at = now
            reply.flags |= ServerAsks.FULL_STATE
            self._counts.full_state()

    def _offer_interval(self, node: Node, reply: ServerToAgent) -> None:
        wanted = self._interval()
        able = AgentCan.ACCEPT_CONNECTION_SETTINGS | AgentCan.REPORT_HEARTBEAT
        described = node.description
        if described is None or described.service != OWN_SERVICE or node.capabilities & able != able:
            return
        if described.interval != wanted != node.offered_interval:
            node.offered_interval = wanted
            reply.connection_settings.hash = f"heartbeat={wanted:g}".encode()
            reply.connection_settings.opamp.heartbeat_interval_seconds = max(1, round(wanted))
        elif described.interval == wanted:
            node.offered_interval = 0.0


def _unavailable(uid: bytes, text: str, seconds: float) -> ServerToAgent:
    reply = ServerToAgent(instance_uid=uid)
    reply.error_response.type = ServerErrorResponseType_Unavailable
    reply.error_response.error_message = text
    reply.error_response.retry_info.retry_after_nanoseconds = int(seconds * _NANOSECONDS)
    return reply
