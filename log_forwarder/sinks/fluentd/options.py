"""What can be said in a word ``fluentd://host:24224?…``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from compose_agent.address import UnixAddress
from compose_agent.config import kinds
from compose_agent.config.kinds import Kind
from log_forwarder.sinks import tls
from log_forwarder.sinks.contract import SinkContext
from log_forwarder.sinks.fluentd.compress import NAMES, compression
from log_forwarder.sinks.fluentd.encode import Compression
from log_forwarder.sinks.fluentd.handshake import Credentials
from log_forwarder.sinks.fluentd.tags import DEFAULT_TAG, TagTemplate
from log_forwarder.sinks.servers import Server
from log_forwarder.sinks.tls import TlsOptions
from log_forwarder.sinks.word import SinkWord

SCHEMES = ("fluentd", "fluentd+unix")
OPTIONS = {
    "tag": f"Tag of the events, with container fields in braces; default {DEFAULT_TAG}.",
    "compress": "Compression of chunks: none (default), gzip, or zstd (Fluentd 1.17 and later, Fluent Bit).",
    "window": "Chunks that are sent ahead of their acknowledgements, 1 to 64; default 8.",
    "ack-timeout": "A chunk that is not acknowledged for so long is sent again; default 1m.",
    **tls.OPTIONS,
    "shared-key-file": "File with the key that the server shares with its clients.",
    "hostname": "Name under which we log in with a shared key; default: this host's name.",
    "user": "User, for a server that asks for one.",
    "password-file": "File with the user's password.",
}
DEFAULT_WINDOW = 8
# Beyond this a window holds memory and saves no time.
_MOST_WINDOW = 64
# Fluentd's own sender waits 190 s; a minute is far above what a server in order takes.
DEFAULT_ACK_SECONDS = 60.0
_WINDOW = kinds.whole_number(1, _MOST_WINDOW)
_TAG = Kind("tag", f"a tag such as {DEFAULT_TAG}", TagTemplate.parse)


@dataclass(frozen=True, slots=True)
class FluentdOptions:
    """The options of one sink, checked."""

    word: SinkWord
    servers: tuple[Server, ...]
    tag: TagTemplate
    compression: Compression
    window: int
    ack_seconds: float
    tls: TlsOptions | None
    hostname: str

    @classmethod
    def read(cls, word: SinkWord, context: SinkContext) -> Self:
        """Return the options of a word; raises ConfigError."""
        options = cls(
            word,
            _servers(word),
            word.read("tag", _TAG, TagTemplate.parse(DEFAULT_TAG)),
            compression(word.read("compress", kinds.choice(*NAMES), "none"), word),
            word.read("window", _WINDOW, DEFAULT_WINDOW),
            word.read("ack-timeout", kinds.positive_duration, DEFAULT_ACK_SECONDS),
            TlsOptions.read(word),
            word.read("hostname", kinds.string, context.host),
        )
        options.credentials()
        return options

    def credentials(self) -> Credentials | None:
        """Return what the files of secrets hold now, None without a shared key; raises ConfigError."""
        key = self.word.secret("shared-key-file")
        user = self.word.read("user", kinds.string, "")
        password = self.word.secret("password-file")
        if bool(user) != (password is not None):
            raise self.word.problem("user: needs password-file= as well, and the other way round")
        if key is None:
            if user:
                raise self.word.problem("user: needs shared-key-file= as well")
            return None
        return Credentials(self.hostname, key, user, password or "")


def _servers(word: SinkWord) -> tuple[Server, ...]:
    if word.scheme == "fluentd+unix":
        if word.hosts or len(word.path) < 2:
            raise word.problem("expected the path of a socket, such as fluentd+unix:///run/fluent.sock")
        if "tls" in word.options:
            raise word.problem("tls: has no meaning at a unix socket")
        return (UnixAddress(Path(word.path)),)
    if not word.hosts or not all(each.host and each.port for each in word.hosts):
        raise word.problem("expected host:port, or several separated by commas")
    if word.path.strip("/"):
        raise word.problem(f"'{word.path}' means nothing here, the tag is set with tag=")
    return word.hosts
