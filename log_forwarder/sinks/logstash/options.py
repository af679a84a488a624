"""What can be said in a word ``logstash://host:5044?…``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from compose_agent.address import Address
from compose_agent.config import kinds
from log_forwarder.sinks import tls
from log_forwarder.sinks.tls import TlsOptions
from log_forwarder.sinks.word import SinkWord

OPTIONS = {
    "compress": "Compression of windows: zlib (default) or none.",
    "window": "Windows of events that are sent ahead of their acknowledgements, 1 to 16; default 4.",
    "ack-timeout": "A server that gives no sign of life for so long is given up; default 1m.",
    **tls.OPTIONS,
}
DEFAULT_WINDOW = 4
# Beyond this a window holds memory and saves no time.
_MOST_WINDOW = 16
# While it works on a window, Logstash gives a sign of life every few seconds, as does Elastic's Go server.
DEFAULT_SILENCE_SECONDS = 60.0
_WINDOW = kinds.whole_number(1, _MOST_WINDOW)


@dataclass(frozen=True, slots=True)
class LogstashOptions:
    """The options of one sink, checked."""

    servers: tuple[Address, ...]
    compress: bool
    window: int
    silence_seconds: float
    tls: TlsOptions | None

    @classmethod
    def read(cls, word: SinkWord) -> Self:
        """Return the options of a word; raises ConfigError."""
        if not word.hosts or not all(each.host and each.port for each in word.hosts):
            raise word.problem("expected host:port, or several separated by commas")
        if word.path.strip("/"):
            raise word.problem(f"'{word.path}' means nothing here")
        return cls(
            word.hosts,
            word.read("compress", kinds.choice("zlib", "none"), "zlib") == "zlib",
            word.read("window", _WINDOW, DEFAULT_WINDOW),
            word.read("ack-timeout", kinds.positive_duration, DEFAULT_SILENCE_SECONDS),
            TlsOptions.read(word),
        )
