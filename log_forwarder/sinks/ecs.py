"""ECS documents for sinks that hand them on, the same as the ``elasticsearch`` sink stores."""

from __future__ import annotations

from log_forwarder.event import Batch
from log_forwarder.sinks.elasticsearch.encode import Encoder
from log_forwarder.sinks.elasticsearch.options import Target

# No data stream: whoever stores the documents decides where.
_TARGET = Target("logs", "index")


class Documents:
    """Encodes events of this ``host`` as JSON objects, each without a newline."""

    def __init__(self, host: str) -> None:
        self._encoder = Encoder(_TARGET, host)

    def encode(self, batch: Batch) -> list[bytes]:
        """Return a document for each event, in order."""
        # The encoder puts the line of a bulk action before each of them.
        return [entry.data.partition(b"\n")[2][:-1] for entry in self._encoder.encode(batch)]
