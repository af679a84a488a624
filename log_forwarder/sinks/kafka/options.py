"""What can be said in a word ``kafka://host:9092/TOPIC?…``, and what it means to librdkafka."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from compose_agent.config import kinds
from log_forwarder.sinks import tls
from log_forwarder.sinks.fluentd.tags import TagTemplate
from log_forwarder.sinks.tls import TlsOptions
from log_forwarder.sinks.word import SinkWord

COMPRESSIONS = ("lz4", "gzip", "zstd", "snappy", "none")
MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")
FORMATS = ("ndjson", "ecs")
_TLS = {name: text for name, text in tls.OPTIONS.items() if name != "server-name"}
OPTIONS = {
    "format": "Values are JSON with Docker's names (ndjson, default) or ECS documents (ecs).",
    "compress": "Compression of batches: lz4 (default), gzip, zstd, snappy or none.",
    "message-max": "Longest message; longer ones become dead letters (default 1MB, as of Kafka's topics).",
    "user": "User, for brokers that ask for one (SASL).",
    "password-file": "File with the user's password.",
    "mechanism": "How the user logs in: SCRAM-SHA-512 (default), SCRAM-SHA-256 or PLAIN.",
    **_TLS,
}
# Kafka's own default for topics is 1,048,588 bytes of a batch, in which a message needs a header.
DEFAULT_MESSAGE_BYTES = 1_000_000
_SMALLEST_MESSAGE, _LARGEST_MESSAGE = 1000, 1_000_000_000
# Kafka: org.apache.kafka.common.internals.Topic.
_TOPIC = re.compile(r"[A-Za-z0-9._{}-]+")
LONGEST_TOPIC = 249


@dataclass(frozen=True, slots=True)
class KafkaOptions:
    """The options of one sink, checked."""

    word: SinkWord
    topic: TagTemplate
    ecs: bool
    compress: str
    message_bytes: int
    user: str
    mechanism: str
    tls: TlsOptions | None

    @classmethod
    def read(cls, word: SinkWord) -> Self:
        """Return the options of a word; raises ConfigError."""
        if not word.hosts or not all(each.host and each.port for each in word.hosts):
            raise word.problem("expected host:port, or several separated by commas")
        options = cls(
            word,
            _topic(word),
            word.read("format", kinds.choice(*FORMATS), "ndjson") == "ecs",
            word.read("compress", kinds.choice(*COMPRESSIONS), "lz4"),
            word.read("message-max", kinds.size, DEFAULT_MESSAGE_BYTES),
            word.read("user", kinds.string, ""),
            word.read("mechanism", kinds.choice(*MECHANISMS), MECHANISMS[0]),
            TlsOptions.read(word),
        )
        options._check()
        return options

    def client(self) -> dict[str, Any]:
        """Return librdkafka's settings for connections, with what the file of the password holds now.

        Raises ConfigError.
        """
        settings: dict[str, Any] = {"bootstrap.servers": ",".join(map(str, self.word.hosts))}
        if self.tls:
            settings |= _tls_settings(self.tls)
        if self.user:
            settings |= {
                "sasl.mechanism": self.mechanism,
                "sasl.username": self.user,
                "sasl.password": self.word.secret("password-file"),
            }
        layers = ("SASL_" if self.user else "") + ("SSL" if self.tls else "PLAINTEXT")
        return settings | {"security.protocol": layers}

    def _check(self) -> None:
        if bool(self.user) != ("password-file" in self.word.options):
            raise self.word.problem("user and password-file go together")
        if "mechanism" in self.word.options and not self.user:
            raise self.word.problem("mechanism: has a meaning only with user=")
        if not _SMALLEST_MESSAGE <= self.message_bytes <= _LARGEST_MESSAGE:
            raise self.word.problem("message-max: expected 1KB to 1GB")
        self.client()


def _topic(word: SinkWord) -> TagTemplate:
    name = word.path.strip("/")
    if not name:
        raise word.problem("it names no topic, expected such as kafka://host:9092/docker-logs")
    if not _TOPIC.fullmatch(name) or len(name) > LONGEST_TOPIC:
        raise word.problem(
            f"'{name}' cannot be a topic: letters, digits and . _ - may stand in it, up to {LONGEST_TOPIC}"
        )
    try:
        return TagTemplate.parse(name)
    except ValueError as error:
        raise word.problem(f"topic: {error}") from error


def _tls_settings(options: TlsOptions) -> Mapping[str, Any]:
    settings: dict[str, Any] = {"enable.ssl.certificate.verification": not options.insecure}
    if options.ca:
        settings["ssl.ca.location"] = str(options.ca)
    if options.cert:
        settings["ssl.certificate.location"] = str(options.cert)
        settings["ssl.key.location"] = str(options.key or options.cert)
    return settings
