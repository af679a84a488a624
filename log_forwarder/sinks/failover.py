"""A connection to one of several servers: the first that can be had, and the first of all when it is back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from log_forwarder.sinks.contract import LinkEnded, SinkUnavailable
from log_forwarder.sinks.servers import Server, Servers
from log_forwarder.sinks.wire import CONNECT_SECONDS

# While another server works, the first one is given no longer than this to connect, and to log us in.
RETURN_CONNECT_SECONDS = 1.0


class _Closable(Protocol):
    def close(self) -> None:
        """Close the connection, whatever its state."""


L = TypeVar("L", bound=_Closable)
T = TypeVar("T")


class FailOver(Generic[L]):
    """Opens links with ``opened(server, seconds)``, which raises SinkUnavailable; ``link`` is the open one.

    ``now`` is a monotonic clock in seconds.
    """

    def __init__(
        self, servers: Sequence[Server], opened: Callable[[Server, float], L], now: Callable[[], float]
    ) -> None:
        self.link: L | None = None
        self._servers = Servers(servers, now)
        self._opened = opened

    def connect(self) -> None:
        """Connect to the next server that can be had; SinkUnavailable tells of each that cannot."""
        self.close()
        failures: list[SinkUnavailable] = []
        for server in self._servers.order():
            try:
                self.link = self._opened(server, CONNECT_SECONDS)
            except SinkUnavailable as failure:
                failures.append(failure)
            else:
                self._servers.chose(server)
                return
        raise SinkUnavailable("; ".join(each.message for each in failures), remedy=failures[0].remedy)

    def go_back(self) -> None:
        """Return to the first server if it is time to look for it, and it is there."""
        if not self._servers.may_return():
            return
        try:
            link = self._opened(self._servers.first, RETURN_CONNECT_SECONDS)
        except SinkUnavailable:
            return
        self.close()
        self.link = link
        self._servers.chose(self._servers.first)

    def freshen(self, look: Callable[[], object]) -> None:
        """Before something is sent after a pause: go back if that can be, and replace a link that ended.

        ``look`` reads what has come, and raises LinkEnded.
        """
        self.go_back()
        try:
            look()
        except LinkEnded:
            self.connect()

    def use(self, call: Callable[[L], T], *, unconfirmed: bool) -> T:
        """Do something with the link; a failure is ``unseen`` if something was sent and is unconfirmed."""
        if self.link is None:
            raise SinkUnavailable("the connection is closed", unseen=unconfirmed)
        try:
            return call(self.link)
        except SinkUnavailable as failure:
            failure.unseen = unconfirmed
            raise

    def close(self) -> None:
        """Close the connection, if any."""
        if self.link is not None:
            self.link.close()
        self.link = None
