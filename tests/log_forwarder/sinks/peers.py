"""Peers that do one thing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def saying(data: bytes) -> Iterator[int]:
    """Serve one connection that says something, reads nothing and stays open; yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = threading.Event()

        def serve() -> None:
            with suppress(OSError):  # nobody may come, and who has heard enough goes away in the middle
                client, _ = listener.accept()
                with client:
                    client.sendall(data)
                    done.wait()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            done.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
