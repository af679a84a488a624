"""What the kernel and the resolver do so that a path that is gone is noticed soon, and nobody waits for it.

A ping of WebSocket wakes a thread here and the manager's loop there; keepalive probes of TCP are answered by
kernels. So these look often whether the path is there, and pings rarely whether the manager is.
"""

from __future__ import annotations

import socket
from collections.abc import MutableMapping

# A path on which nothing comes back for this long is taken for gone, and another connection is made: within
# ten seconds of its end an agent is back, also where a router has forgotten the connection.
GONE_AFTER_SECONDS = 7
# Several probes: on a path that loses every third packet both ways one alone would often seem unanswered.
_PROBE_AFTER_SECONDS = 3
_PROBE_EVERY_SECONDS = 1
_PROBES = (GONE_AFTER_SECONDS - _PROBE_AFTER_SECONDS) // _PROBE_EVERY_SECONDS

SOCKET_OPTIONS = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _PROBE_AFTER_SECONDS),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _PROBE_EVERY_SECONDS),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES),
    # For what was sent and is not acknowledged, which the kernel would try again for a quarter of an hour.
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_AFTER_SECONDS * 1000),
)

# The C library waits 5 s for a name server, and asks each twice: a lookup that began while none could be
# reached would hang for long after one can be. resolver(5) has the words.
_RESOLVER = "RES_OPTIONS"
_PROMPT = "timeout:3 attempts:2"


def watch(connection: socket.socket) -> None:
    """Have the kernel end ``connection`` soon after its path has ended."""
    for level, name, value in SOCKET_OPTIONS:
        connection.setsockopt(level, name, value)


def look_up_promptly(environ: MutableMapping[str, str]) -> None:
    """Have lookups of names fail soon, unless the user has set how they are to be made."""
    environ.setdefault(_RESOLVER, _PROMPT)
