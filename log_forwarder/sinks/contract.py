"""What a sink is, to the couriers that feed it.

There are two kinds. A *request sink* sends entries and has the answer before the next request; a *window
sink* sends parcels one after the other and is told later which of them arrived. One thread uses either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from compose_agent.errors import ComposeAgentError
from log_forwarder.event import Batch, Event
from log_forwarder.share import Share
from log_forwarder.sinks.word import SinkWord
from log_forwarder.transforms.patterns import Pattern

_WHOLE = Share()


class SinkUnavailable(ComposeAgentError):
    """The peer cannot take events now; they are sent again after a pause.

    ``unseen``: the peer may have stored what was sent, its answer was not seen. ``retry_after``: seconds the
    peer asked to be left alone.
    """

    def __init__(
        self, message: str, *, remedy: str | None = None, unseen: bool = False, retry_after: float = 0.0
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.unseen = unseen
        self.retry_after = retry_after


class LinkEnded(SinkUnavailable):
    """The peer ended a connection that was there.

    Nothing else is one: not a peer that cannot be reached, or that does not answer. When the same lines are
    on their way each time, they may be what the peer cannot bear.
    """


class RequestTooLarge(ComposeAgentError):
    """The peer refuses a request of this size; it is sent again in two halves."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One event, encoded for a request sink; ``data`` is what is sent, ``index`` its place in the batch.

    With a reason in ``left_out`` the sink has no use for the event: it is not sent, and counts as dropped.
    """

    batch: Batch
    index: int
    data: bytes
    left_out: str = ""

    @property
    def event(self) -> Event:
        """The event itself."""
        return self.batch.events[self.index]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request's entries, by their index: all others are stored.

    ``rejected`` will never be stored, each with its reason; ``again`` are to be sent once more.
    """

    rejected: Mapping[int, str] = field(default_factory=dict)
    again: Sequence[int] = ()


@runtime_checkable
class RequestSink(Protocol):
    """A sink of requests and answers."""

    most_bytes: int  # a request takes batches of at most so many bytes of source (one batch may be more)
    most_events: int  # a request has at most so many entries

    def encode(self, batch: Batch) -> list[Entry]:
        """Return an entry for each event of ``batch``, in order."""

    def send(self, entries: Sequence[Entry], *, again: bool) -> Answer:
        """Deliver; raises SinkUnavailable or RequestTooLarge.

        ``again``: some of the entries may be stored already, and must not be stored twice.
        """

    def close(self) -> None:
        """Let go of connections and files."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a window sink sends at once: ``data`` in wire format, confirmed by the peer as ``id``."""

    id: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """One event that will never be stored, and why; ``index`` is its place in the batch that was encoded."""

    batch: Batch
    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The peer is done with the parcel ``id``: all of it is stored, but for what is ``refused``."""

    id: str
    refused: Sequence[Refusal] = ()


@runtime_checkable
class WindowSink(Protocol):
    """A sink that sends ahead and is answered later."""

    most_bytes: int  # a parcel takes batches of at most so many bytes of source
    window: int  # parcels sent and not yet confirmed
    answer_seconds: float  # a parcel unconfirmed for so long is sent again on a new connection

    @property
    def trouble(self) -> str:
        """What holds the sink up while it tries again by itself; empty for sinks that never do."""

    def encode(self, batches: Sequence[Batch]) -> list[Parcel]:
        """Return parcels with every event of ``batches``, in order within each stream.

        A batch is settled when all parcels of the call are confirmed. It may be a part of what was read: with
        other batches, and with parts of the same one, it may be encoded once more.
        """

    def connect(self) -> None:
        """Connect and log in; raises SinkUnavailable. Called again after each failure."""

    def send(self, parcel: Parcel) -> None:
        """Send without waiting for the answer; raises SinkUnavailable."""

    def confirmed(self, wait: float) -> list[Confirmation]:
        """Return what the peer has confirmed, waiting up to ``wait`` seconds for the first parcel.

        Raises SinkUnavailable when the connection is gone.
        """

    def close(self) -> None:
        """Close the connection, if any."""


Sink = RequestSink | WindowSink


@dataclass(frozen=True, slots=True)
class SinkContext:
    """What a sink is made with: its name (unique, stable), this host's name, and where its state may lie.

    ``run_dir`` is where the other roles' sockets lie, None where nobody knows; ``triggers`` are the patterns
    of lines to act upon, for the containers that say nothing else by their labels. ``share`` is whose lines
    come, where several processes use the same sink, and ``queue_bytes`` how much of their logs is read ahead.
    """

    name: str
    host: str
    state_dir: Path
    run_dir: Path | None = None
    triggers: Mapping[str, Pattern] = field(default_factory=dict)
    share: Share = _WHOLE
    queue_bytes: int = 8 << 20


@dataclass(frozen=True, slots=True)
class Setup:
    """How the server behind a sink is prepared for it; shipping may go without.

    ``run(word, given)`` yields a sentence for each thing when it is done; ``given`` has the values of those
    of ``options`` (by name, with a sentence each) that somebody gave. It raises ConfigError before it does
    anything, and ComposeAgentError when the server refuses or is away.
    """

    options: Mapping[str, str]
    run: Callable[[SinkWord, Mapping[str, str]], Iterator[str]]


@dataclass(frozen=True, slots=True)
class ReadBack:
    """How what a sink has stored is read again, to be counted.

    ``texts(word, marker)`` yields the text of every stored event that has ``marker`` (lower-case letters and
    digits) in it, as often as it is stored, and in the order of the lines if ``ordered``; raises
    ComposeAgentError.
    """

    texts: Callable[[SinkWord, str], Iterator[str]]
    ordered: bool


@dataclass(frozen=True, slots=True)
class SinkKind:
    """A kind of sink: the schemes of its words, its options by name with a sentence each, and its maker.

    ``make`` raises ConfigError for what is wrong with the word, and opens no connection. Options that all
    kinds have (``name``, ``required``, …) are not listed here. One that is not ``sharable`` cannot be used by
    several processes at once. ``setup`` is for kinds with something to prepare, ``read_back`` for those that
    can be asked for what they have.
    """

    name: str
    schemes: tuple[str, ...]
    help: str
    options: Mapping[str, str]
    make: Callable[[SinkWord, SinkContext], Sink]
    sharable: bool = True
    setup: Setup | None = None
    read_back: ReadBack | None = None
