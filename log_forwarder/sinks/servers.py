"""Which of several servers is next: fail over at once, go back to the first one later."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from compose_agent.address import Address, UnixAddress

Server = Address | UnixAddress

# So often the first server is tried while another one is in use: a server that restarts is back by then.
RETURN_SECONDS = 60.0
# A first server that takes connections and then fails costs a stall at each return: at most one an hour.
MOST_RETURN_SECONDS = 3600.0


class Servers:
    """The servers in their order, and the one in use. ``now`` is a monotonic clock in seconds."""

    def __init__(self, servers: Sequence[Server], now: Callable[[], float]) -> None:
        self._servers = tuple(servers)
        self._now = now
        self._next = 0
        self._current = 0
        self._chosen_at = -math.inf
        self._tried_first = 0.0
        self._pause = RETURN_SECONDS

    @property
    def first(self) -> Server:
        """The server that is used while it works."""
        return self._servers[0]

    def order(self) -> tuple[Server, ...]:
        """Return all servers in the order in which they are to be tried now."""
        return self._servers[self._next :] + self._servers[: self._next]

    def chose(self, server: Server) -> None:
        """Take note that ``server`` is in use; if that ends, the one behind it is next."""
        now = self._now()
        left = self._current
        self._current = self._servers.index(server)
        self._next = (self._current + 1) % len(self._servers)
        if left == 0 and self._current != 0:
            worked = now - self._chosen_at > 2 * self._pause
            self._pause = RETURN_SECONDS if worked else min(2 * self._pause, MOST_RETURN_SECONDS)
        self._chosen_at = self._tried_first = now

    def may_return(self) -> bool:
        """Tell whether it is time to look for the first server again, and take note that this is done."""
        if self._current == 0 or self._now() - self._tried_first < self._pause:
            return False
        self._tried_first = self._now()
        return True
