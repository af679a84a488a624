"""A copy of this process's log for Fluentd, by fluent-logger's handler.

It is best effort: the library takes what the kernel took for delivered, keeps a bounded buffer while the peer
is away, and throws that away whole when it is full. The log on standard error is complete.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from typing import Any

import msgpack
from fluent.asynchandler import FluentHandler

from compose_agent.address import Address
from compose_agent.log import fields_of

logger = logging.getLogger(__name__)

# Records that wait for the sending thread; then the oldest gives way, so that nobody who logs ever waits.
QUEUE_RECORDS = 1000
# What could not be sent and goes with the next record; copied with each attempt, so not large.
BUFFER_BYTES = 256 * 1024
# To connect and to send, in the sending thread: each record costs so long while a peer hangs.
TIMEOUT_SECONDS = 1.0
# What a stop or a new configuration waits for records on their way.
CLOSE_SECONDS = 1.0
# How often the log says that some of it is lost, while a peer is away for a day.
TELL_SECONDS = 60.0
_PACKING = {"default": str, "unicode_errors": "replace"}


# The library has no types.
class FluentdHandler(FluentHandler):  # type: ignore[misc]
    """Sends records to ``address`` under ``tag``; whoever logs never waits for the peer.

    ``lost`` counts the records that a full queue or buffer gave up.
    """

    def __init__(self, address: Address, tag: str) -> None:
        super().__init__(
            tag,
            host=address.host,
            port=address.port,
            timeout=TIMEOUT_SECONDS,
            bufmax=BUFFER_BYTES,
            buffer_overflow_handler=lambda data: self._lose(_count(data)),
            queue_maxsize=QUEUE_RECORDS,
            queue_circular=True,
            queue_overflow_handler=lambda _data: self._lose(1),
            nanosecond_precision=True,
            msgpack_kwargs=_PACKING,
        )
        self.lost = 0
        self._losing = threading.Lock()
        self._told, self._tell_at = 0, 0.0
        self._hostname = socket.gethostname()
        self._ended = threading.Event()
        # The library's close waits for as long as the peer lets it, and an interpreter that is about to end
        # starts no thread to wait in.
        self._closer = threading.Thread(
            target=_close_after, args=(self._ended, self.sender), name="fluentd-log-end", daemon=True
        )
        self._closer.start()

    def format(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the fields of a line; the time is the event's own."""
        fields = fields_of(record)
        del fields["ts"]
        return {"hostname": self._hostname, "message": fields.pop("msg"), **fields}

    def emit(self, record: logging.LogRecord) -> None:
        """Put a record on its way; one that cannot be sent is told on standard error, as logging does."""
        if self._ended.is_set():
            return
        try:
            super().emit(record)
        except Exception:  # noqa: BLE001 - what is logged may be anything, and logging must not end a thread
            self.handleError(record)
        self._tell()

    def close(self) -> None:
        """Wait a moment for what is on its way; what the peer has not taken by then is lost."""
        with self.lock:
            self._ended.set()
        self._closer.join(CLOSE_SECONDS)
        logging.Handler.close(self)

    def _lose(self, records: int) -> None:
        # Called within the library's lock: to log here would wait for it for ever.
        with self._losing:
            self.lost += records

    def _tell(self) -> None:
        now = time.monotonic()
        if self.lost > self._told and now >= self._tell_at:
            self._told, self._tell_at = self.lost, now + TELL_SECONDS
            logger.warning("lines of this log did not reach Fluentd", extra={"lost": self._told})


def _close_after(ended: threading.Event, sender: Any) -> None:
    ended.wait()
    sender.close()


def _count(packed: bytes) -> int:
    unpacker = msgpack.Unpacker(max_buffer_size=0)
    unpacker.feed(packed)
    return sum(1 for _ in unpacker)
