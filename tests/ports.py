"""Ports that are known before somebody listens on them."""

from __future__ import annotations

import socket

# Bound until this process ends: the kernel gives a port that is bound to nobody who asks for any.
_HELD: list[socket.socket] = []


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port on which nobody listens, and which no other test that runs at the same time gets.

    A server that lets addresses be used again, as all of ours do, may listen on it; until then, connections
    are refused.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind((host, 0))
    _HELD.append(held)
    return int(held.getsockname()[1])
