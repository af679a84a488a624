"""Alerts that the manager hands to the host that they are about: ``com.compose-agent.alert.v1``, MessagePack.

The manager sends ``alert`` with an :class:`Alert`, again after each connection until it has the answer. The
agent answers ``taken`` with a :class:`Taken` when the host's remediation has it on disk, or does not take it.
"""

from __future__ import annotations

import msgspec

CAPABILITY = "com.compose-agent.alert.v1"
ALERT, TAKEN = "alert", "taken"


class Alert(msgspec.Struct, frozen=True):
    """One alert; ``body`` is a notification of Alertmanager, version 4, that holds nothing else."""

    id: str
    body: bytes
    traceparent: str = ""


class Taken(msgspec.Struct, frozen=True):
    """What became of an alert: ``error`` is why it was refused; ``again`` when that may pass."""

    id: str
    error: str = ""
    again: bool = False
