"""Groups, their members, and the steps of a fail-over, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from compose_agent.dockerd.verbs.model import VerbRequest


class Mode(StrEnum):
    """Whether one of a group runs, or all do."""

    ACTIVE_PASSIVE = "active-passive"
    ACTIVE_ACTIVE = "active-active"


class Role(StrEnum):
    """Who is to run first; a standby waits its turn."""

    PRIMARY = "primary"
    STANDBY = "standby"


class Life(StrEnum):
    """How a member stands. ``RUNNING`` is all that may run at any moment: paused and restarting, too."""

    RUNNING = "running"
    DIED = "died"  # by itself
    STOPPED = "stopped"  # by somebody, by us, or never started
    GONE = "gone"
    UNKNOWN = "unknown"  # the Engine does not say


class Attachment(msgspec.Struct, frozen=True):
    """How a member is in the group's network: by which names others find it, and its own address."""

    network: str
    aliases: tuple[str, ...] = ()
    address: str = ""

    def arguments(self) -> dict[str, Any]:
        """Return what the verb ``network_connect`` takes to make it so."""
        own = {"address": self.address} if self.address else {}
        return {"network": self.network, "aliases": list(self.aliases), **own}


@dataclass(frozen=True, slots=True)
class Member:
    """A container of a group as it is now; ``ailing`` says that health check or probes find it ill."""

    name: str
    id: str
    role: Role = Role.STANDBY
    life: Life = Life.RUNNING
    ailing: bool = False
    attachment: Attachment | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """A group: its name (``project/group``), and the alias by which its active member is to be found."""

    name: str
    mode: Mode = Mode.ACTIVE_PASSIVE
    alias: str = ""
    network: str = ""


class Do(StrEnum):
    """The steps there are, by the names of their verbs."""

    STOP = "stop"
    START = "start"
    DISCONNECT = "network_disconnect"
    CONNECT = "network_connect"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to be done to one member. ``id`` is new for each step."""

    id: str
    do: Do
    member: str
    container: str
    arguments: dict[str, Any] = {}
    reason: str = ""

    def request(self) -> VerbRequest:
        """Return what an actor is asked for."""
        return VerbRequest(
            id=self.id, verb=self.do, target=self.container, arguments=self.arguments, reason=self.reason
        )


class Numbers(msgspec.Struct):
    """Gives steps their ids, over restarts: those of the intent ``of``, as its requests have them."""

    of: str = ""
    last: int = 0

    def step(self, do: Do, member: Member, reason: str, arguments: Mapping[str, Any] | None = None) -> Step:
        """Return a new step."""
        self.last += 1
        return Step(
            id=f"{self.of}.{self.last}",
            do=do,
            member=member.name,
            container=member.id,
            arguments=dict(arguments or {}),
            reason=reason,
        )
