"""Custom messages of OpAMP, manager's side: which part takes those of which capability, and how it sends.

A part is a :class:`Handler` under the name of its capability. It hears of each agent that comes with that
capability, and may then ``send``. A message goes out at once over WebSocket, and with the next answer to an
agent that polls; it may be lost with the connection, so whoever needs certainty sends again when the agent
arrives anew.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import Protocol

from fleet.manager.model import Node, Peer
from fleet.manager.registry import Registry
from fleet.opamp.frames import to_frame
from fleet.opamp.opamp_pb2 import AgentToServer, CustomMessage, ServerToAgent

logger = logging.getLogger(__name__)

# What waits for the next question of an agent that polls. Each of our parts sends again what is lost.
MOST_WAITING = 64


class Handler(Protocol):
    """One part's half of a capability. Called on the loop of all agents: it must not wait for anything."""

    def arrived(self, node: Node) -> None:
        """Hear that an agent with this capability speaks over a new connection, or says anew who it is."""

    def take(self, node: Node, kind: str, data: bytes) -> None:
        """Take a message of an agent; ``kind`` is the message's type."""


class Custom:
    """Takes and sends custom messages for the parts that have registered."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._handlers: dict[str, Handler] = {}
        self._waiting: dict[bytes, deque[CustomMessage]] = {}

    def register(self, capability: str, handler: Handler) -> None:
        """Have ``handler`` take what comes under a capability; before the first agent connects."""
        self._handlers[capability] = handler

    def reaches(self, uid: bytes, capability: str) -> bool:
        """Tell whether an agent is there that has the capability."""
        with self._registry.lock():
            node = self._registry.get(uid)
            return node is not None and _can_take(node, capability)

    def send(self, uid: bytes, capability: str, kind: str, data: bytes, *, urgent: bool = False) -> bool:
        """Send a message to an agent; return whether it is under way. From any thread.

        False for an agent that is not there, is switched off, does not have the capability, or does not take
        what it was sent before. What is ``urgent`` goes before what waits for an agent that polls.
        """
        message = CustomMessage(capability=capability, type=kind, data=data)
        with self._registry.lock():
            node = self._registry.get(uid)
            if node is None or not _can_take(node, capability):
                return False
            if node.peer is None:
                return self._keep(uid, message, urgent=urgent)
            peer = node.peer
        frame = to_frame(ServerToAgent(instance_uid=uid, custom_message=message))
        return peer.push is not None and peer.push(frame)

    # What the desk calls.

    def learn(self, node: Node, message: AgentToServer, peer: Peer, *, known: bool) -> None:
        """Note what an agent can take; ``known`` when it has spoken over this connection before."""
        told = message.HasField("custom_capabilities")
        if told:
            told_of = message.custom_capabilities.capabilities
            node.custom = frozenset(each for each in told_of if each in self._handlers)
        if told or (peer.lasting and not known):
            for capability, handler in self._handlers.items():
                if capability in node.custom:
                    handler.arrived(node)

    def take(self, node: Node, message: CustomMessage) -> None:
        """Give a message to its part; one that no part wants is dropped, as the specification has it."""
        handler = self._handlers.get(message.capability)
        if handler is None:
            logger.debug("nobody takes a custom message", extra={"capability": message.capability})
            return
        handler.take(node, message.type, message.data)

    def answer(self, node: Node, peer: Peer, reply: ServerToAgent, *, first: bool) -> None:
        """Put into an answer what the manager can take, and what waits for an agent that polls."""
        if first and self._handlers:
            reply.custom_capabilities.capabilities.extend(self._handlers)
        with self._registry.lock():
            waiting = self._waiting.get(node.uid)
            if waiting and not peer.lasting:
                reply.custom_message.CopyFrom(waiting.popleft())
            if not waiting or peer.lasting:
                self._waiting.pop(node.uid, None)  # a connection that lasts is sent everything anew

    def _keep(self, uid: bytes, message: CustomMessage, *, urgent: bool) -> bool:
        waiting = self._waiting.setdefault(uid, deque())
        if len(waiting) >= MOST_WAITING:
            return False
        if urgent:
            waiting.appendleft(message)
        else:
            waiting.append(message)
        return True


def _can_take(node: Node, capability: str) -> bool:
    there = node.peer is not None or not node.gone
    return there and not node.disabled and capability in node.custom
