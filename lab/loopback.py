"""Servers on free loopback ports."""

from __future__ import annotations

import atexit
import socket
import urllib.error
import urllib.request
from collections.abc import Callable

from lab import LabError
from lab.process import Process

# A port that is held may still be asked for by its number; rarely, hardly ever thrice.
_ATTEMPTS = 3
_READY_TIMEOUT_S = 2.0

# The proxy of a company's machine knows nothing of its loopback.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port on which nobody listens, and which nobody else who asks for any gets.

    A server that lets addresses be used again, as nearly all do, may listen on it; until then, connections
    are refused.
    """
    # Bound until this process ends: the kernel gives a port that is bound to nobody who asks for any.
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind((host, 0))
    atexit.register(held.close)
    return int(held.getsockname()[1])


def answers(url: str) -> bool:
    """Tell whether a URL is answered with a status below 400."""
    try:
        with DIRECT.open(url, timeout=_READY_TIMEOUT_S):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return False
    except OSError:
        return False


def listens(address: str) -> bool:
    """Tell whether somebody takes connections at ``host:port``."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_READY_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def start_on_free_port(make: Callable[[str], Process]) -> tuple[Process, str]:
    """Start what ``make`` returns for an address, and return it with its URL.

    A program that ends at once is started again on another port; LabError after three such ends.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        address = f"127.0.0.1:{free_port()}"
        process = make(address)
        try:
            process.start()
        except LabError:
            process.close()
            if attempt == _ATTEMPTS:
                raise
        else:
            return process, f"http://{address}"
    raise AssertionError("the last attempt returns or raises")
