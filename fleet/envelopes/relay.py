"""A scrape that goes over the link, because nobody else reaches the role: ``com.compose-agent.scrape.v1``.

The manager sends ``ask`` with an :class:`Ask`; the agent answers with ``part`` after ``part``, each a
:class:`Part`, in the order of their numbers, the last one marked. Both are MessagePack.
"""

from __future__ import annotations

import msgspec

CAPABILITY = "com.compose-agent.scrape.v1"
ASK, PART = "ask", "part"
# Of a thousand containers' metrics one part is enough; heartbeats get their turn between two.
PART_BYTES = 256 * 1024
# As gzip, which makes a tenth of metrics: a hundred thousand series.
MOST_BYTES = 4 * 1024 * 1024
MOST_UNPACKED_BYTES = 64 * 1024 * 1024


class Ask(msgspec.Struct, frozen=True):
    """Scrape ``role``, within ``seconds``; ``accept`` is the scraper's own header."""

    id: int
    role: str
    accept: str
    seconds: float


class Part(msgspec.Struct, frozen=True):
    """A piece of the answer to the question ``id``, whose whole body is gzip; ``number`` counts from 0."""

    id: int
    number: int
    last: bool
    status: int
    kind: str  # the media type of what is packed
    data: bytes
