"""Custom messages of OpAMP, agent's side: which part takes those of which capability, and how it sends.

A part is a :class:`Handler` under the name of its capability. A message that it sends may be lost with the
connection: whoever needs certainty keeps it until it is confirmed, and sends it again when ``connected``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from fleet.opamp.opamp_pb2 import CustomCapabilities, CustomMessage, ServerToAgent

logger = logging.getLogger(__name__)


class Handler(Protocol):
    """One part's half of a capability. Called in the link's thread: it must not wait for anything."""

    def connected(self) -> None:
        """Hear that there is a connection to a manager with this capability, a new one each time."""

    def take(self, kind: str, data: bytes) -> None:
        """Take a message of the manager; ``kind`` is the message's type."""


class Custom:
    """Takes and sends custom messages for the parts that have registered.

    ``post`` sends a message over the link there is, and tells whether it was sent; it may wait for the
    network.
    """

    def __init__(self, post: Callable[[CustomMessage], bool]) -> None:
        self._post = post
        self._handlers: dict[str, Handler] = {}

    def register(self, capability: str, handler: Handler) -> None:
        """Have ``handler`` take what comes under a capability; before the link starts."""
        self._handlers[capability] = handler

    def capabilities(self) -> CustomCapabilities:
        """Return what the manager is told."""
        return CustomCapabilities(capabilities=sorted(self._handlers))

    def send(self, capability: str, kind: str, data: bytes) -> bool:
        """Send a message; return whether it is under way. From any thread but the link's."""
        return self._post(CustomMessage(capability=capability, type=kind, data=data))

    def heard(self, reply: ServerToAgent) -> None:
        """Look at what the manager says."""
        if reply.HasField("custom_capabilities"):
            for capability in reply.custom_capabilities.capabilities:
                if handler := self._handlers.get(capability):
                    handler.connected()
        if not reply.HasField("custom_message"):
            return
        message = reply.custom_message
        handler = self._handlers.get(message.capability)
        if handler is None:
            logger.debug("nobody takes a custom message", extra={"capability": message.capability})
            return
        handler.take(message.type, message.data)
