"""What the manager knows of a node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from fleet.envelopes.host import Load
from fleet.opamp.attributes import Plain
from fleet.opamp.uid import uid_text

# What the specification says of agents, unless they say otherwise themselves.
DEFAULT_INTERVAL_SECONDS = 30.0


class State(StrEnum):
    """How a node stands; each comes with a reason and the time since when."""

    ONLINE = "online"
    LATE = "late"
    OFFLINE = "offline"
    NEVER_SEEN = "never seen"
    DISABLED = "disabled"
    DUPLICATE = "duplicate"


# Those in which an agent is there and speaks.
ALIVE = frozenset({State.ONLINE, State.LATE, State.DUPLICATE})


@dataclass(frozen=True, slots=True)
class Description:
    """What an agent says of itself; texts are empty when it does not say.

    ``attributes`` are all of them, the ones from which the other fields were taken as well.
    """

    node_id: str
    service: str = ""
    version: str = ""
    host: str = ""
    host_id: str = ""
    address: str = ""
    role: str = ""
    environment: str = ""
    capacity: int | None = None
    tags: tuple[str, ...] = ()
    interval: float | None = None  # seconds
    listeners: Mapping[str, str] = field(default_factory=dict)  # role → URL
    attributes: Mapping[str, Plain] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Health:
    """The health of an agent or of a part of it; ``since`` is Unix time, 0 when unknown."""

    healthy: bool
    status: str = ""
    error: str = ""
    since: float = 0.0
    parts: Mapping[str, Health] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pass:
    """With what an agent has come in: the id of a join token, or of its own credential, which is of ``uid``.

    ``environments`` are those that it may be in, None all. ``free`` when nothing was asked of it.
    """

    environments: frozenset[str] | None = None
    token: str = ""
    credential: str = ""
    uid: bytes = b""
    free: bool = False


FREE = Pass(free=True)


@dataclass(eq=False, slots=True)
class Peer:
    """One connection, or one request over HTTP; ``address`` is the other end's IP address.

    ``push`` sends a frame without being asked, from any thread, and tells whether it is under way; ``end``
    closes the connection for a reason, from any thread. Both are None for a request over HTTP.
    """

    transport: str
    address: str
    uids: set[bytes] = field(default_factory=set)  # of the agents that speak over it
    offered: dict[bytes, bytes] = field(default_factory=dict)  # a uid we gave → the one that was another's
    push: Callable[[bytes], bool] | None = None
    end: Callable[[str], None] | None = None
    admitted: Pass = FREE

    @property
    def lasting(self) -> bool:
        """Tell whether its end says something of the agent."""
        return self.transport == "websocket"


@dataclass(eq=False, slots=True)
class Node:
    """One agent. ``conflict_until``, ``heard_at``, ``turned_at`` and ``written_at`` are monotonic.

    Other times are Unix time. ``gone`` is how its connection ended, empty while nothing is known of an end;
    ``left`` when that was with a goodbye.
    """

    uid: bytes
    description: Description | None = None
    capabilities: int = 0
    health: Health | None = None
    turned_at: float = 0.0  # since when its health is good, or bad
    config: Mapping[str, str] = field(default_factory=dict)  # name of a file → its text
    state: State = State.OFFLINE
    reason: str = ""
    since: float = 0.0
    first_heard: float = 0.0
    last_heard: float = 0.0
    heard_at: float = 0.0
    disabled: bool = False
    transport: str = ""
    peer_address: str = ""
    peer: Peer | None = None
    sequence: int = 0
    gone: str = ""
    left: bool = False
    conflict_until: float = 0.0
    rival: bytes = b""
    strand: int = -2  # where an earlier row of numbers ended, of another agent if two use the uid
    crossings: int = 0  # how often an earlier row of numbers was gone on with
    written_at: float = float("-inf")
    missed: bool = False  # messages of it are missing, and it has not said everything anew since
    asked_full_at: float = float("-inf")
    offered_interval: float = 0.0
    load: Load | None = None
    custom: frozenset[str] = frozenset()  # capabilities of its custom messages

    @property
    def node_id(self) -> str:
        """What people call it: its own name, or its uid."""
        return self.description.node_id if self.description else uid_text(self.uid)

    @property
    def environment(self) -> str:
        """The environment it is in, empty for none."""
        return self.description.environment if self.description else ""

    @property
    def interval(self) -> float:
        """Seconds within which it should be heard."""
        given = self.description.interval if self.description else None
        return given or DEFAULT_INTERVAL_SECONDS


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of a node's state at ``at``, Unix time."""

    uid: bytes
    node_id: str
    at: float
    before: State
    after: State
    reason: str
