"""The ``kafka`` sink: an idempotent producer, and positions that wait for its delivery reports.

librdkafka sends again by itself, for ever and without storing twice; the producer is given up only when it
says that it cannot go on. What is not confirmed then goes to the next one, and may come twice, with the same
``event_id`` in its headers.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from compose_agent.errors import ConfigError
from log_forwarder.event import Batch
from log_forwarder.sinks.contract import (
    Confirmation,
    Parcel,
    Refusal,
    SinkContext,
    SinkKind,
    SinkUnavailable,
)
from log_forwarder.sinks.kafka.messages import Message, Messages, Packer
from log_forwarder.sinks.kafka.options import OPTIONS, KafkaOptions
from log_forwarder.sinks.word import SinkWord

MOST_SOURCE_BYTES = 256 * 1024
WINDOW = 8
# Brokers that are there answer in milliseconds; one that is starting needs more than anybody waits here.
CONNECT_SECONDS = 5.0
# Between two looks at what librdkafka says of a connection that does not come.
_LOOK_SECONDS = 0.25
# The producer's queue is full only if a window is larger than it: then the oldest leave within this time.
_ROOM_SECONDS = 10.0
# What waits when the producer is given up is sent again by the next one.
_FLUSH_SECONDS = 1.0
# Messages that wait so long for company travel in larger batches; half of what confirmations are awaited for.
_LINGER_MS = 20
# A topic that was just made is known to all brokers within a moment, within seconds where they are busy.
# librdkafka's own half a minute would be later than the stall limit.
_TOPIC_MS = 15_000
# A window of the shortest lines has more messages than librdkafka's own limit of 100,000.
_MOST_QUEUED = 2_000_000
# Beside the value a message has a key, headers and numbers.
_OVERHEAD_BYTES = 512
_FIRST_BATCH_BYTES = 1_000_000
# Each smaller size costs a new producer, and is remembered.
_SMALLER = 4


class _Codes:
    """Error codes of librdkafka by what they mean here; ``errors`` is the library's KafkaError."""

    def __init__(self, errors: Any) -> None:
        self.too_large = errors.MSG_SIZE_TOO_LARGE
        # About this message, while its neighbours in the batch are told of with another code.
        self.unfit = (errors.INVALID_RECORD,)
        # The library's public names for errors of its own begin like this.
        self.all_down = errors._ALL_BROKERS_DOWN  # noqa: SLF001
        self.given_up = (errors._PURGE_QUEUE, errors._PURGE_INFLIGHT)  # noqa: SLF001
        self.hopeless = (self.all_down, errors._AUTHENTICATION, errors._SSL)  # noqa: SLF001


class KafkaSink:
    """A window sink over ``library``, the module confluent_kafka.

    ``further`` are settings of librdkafka, for tests. ``answer_seconds`` is infinite because librdkafka
    itself sends again what is not answered.
    """

    most_bytes = MOST_SOURCE_BYTES
    window = WINDOW
    answer_seconds = math.inf

    def __init__(
        self,
        library: Any,
        options: KafkaOptions,
        host: str,
        further: dict[str, Any] | None = None,
    ) -> None:
        self._library = library
        self._options = options
        self._packer = Packer(options.topic, host, ecs=options.ecs)
        self._further = further or {}
        self._producer: Any = None
        self._topics: set[str] = set()  # of which this producer knows the partitions
        self._open: dict[str, int] = {}  # by parcel, the messages of this producer that are not done
        self._confirmed: list[Confirmation] = []
        self._failure: SinkUnavailable | None = None
        self._said = ""  # what librdkafka complained of since a message has arrived …
        self._hopeless = False  # … and whether waiting for this producer is in vain
        self._batch_bytes = _FIRST_BATCH_BYTES
        self._codes = _Codes(library.KafkaError)

    @property
    def trouble(self) -> str:
        """What librdkafka complained of since a message has arrived."""
        return self._said

    def encode(self, batches: Sequence[Batch]) -> list[Parcel]:
        """Return one parcel."""
        return self._packer.pack(batches)

    def connect(self) -> None:
        """Make a producer, and wait until it has found the brokers."""
        self.close()
        self._said, self._hopeless = "", False
        try:
            producer = self._library.Producer(self._settings(), logger=_silent())
        except (ConfigError, self._library.KafkaException) as error:  # of a file that was in order before
            raise SinkUnavailable(f"the producer cannot be made ({error})") from error
        deadline = time.monotonic() + CONNECT_SECONDS
        while not self._found(producer):
            if self._hopeless or time.monotonic() >= deadline:
                producer.close()
                raise SinkUnavailable(
                    f"no broker of {self._servers} can be used ({self._said or 'no answer'})",
                    remedy="check the addresses, that they run, and tls= and user=",
                )
        self._producer = producer

    def send(self, parcel: Parcel) -> None:
        """Hand the messages that are not done to librdkafka."""
        if self._producer is None:
            raise SinkUnavailable("there is no producer")
        assert isinstance(parcel, Messages)  # noqa: S101 - they are our own
        self._producer.poll(0)
        if self._failure:  # what failed must go before this parcel, by the next producer
            raise self._failure
        for topic in {message.topic for message in parcel.messages} - self._topics:
            self._find(topic)
        self._open[parcel.id] = parcel.done.count(0)
        for place in range(len(parcel.messages)):
            if not parcel.done[place]:
                self._produce(parcel, place)
        self._settle(parcel)

    def confirmed(self, wait: float) -> list[Confirmation]:
        """Return the parcels of which every message has arrived or was refused."""
        if self._producer is None:
            raise SinkUnavailable("there is no producer")
        if not self._confirmed:
            self._producer.poll(wait)
        if self._failure:
            raise self._failure
        done, self._confirmed = self._confirmed, []
        return done

    def close(self) -> None:
        """Give the producer up, and with it what has not left it."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge()
            producer.flush(_FLUSH_SECONDS)
            producer.close()
        self._topics.clear()
        self._open.clear()
        self._confirmed.clear()
        self._failure = None

    @property
    def _servers(self) -> str:
        return ", ".join(map(str, self._options.word.hosts))

    def _settings(self) -> dict[str, Any]:
        return {
            **self._options.client(),
            "client.id": "compose-agent",
            "enable.idempotence": True,  # with it acks=all, and order through retries
            "message.timeout.ms": 0,
            "message.max.bytes": self._options.message_bytes,
            "batch.size": self._batch_bytes,
            "compression.type": self._options.compress,
            "linger.ms": _LINGER_MS,
            "topic.metadata.propagation.max.ms": _TOPIC_MS,
            "queue.buffering.max.messages": _MOST_QUEUED,
            "partitioner": "murmur2_random",  # that of Kafka's own clients
            "log.connection.close": False,
            "error_cb": self._complained,
            **self._further,
        }

    def _found(self, producer: Any) -> bool:
        try:
            return bool(producer.list_topics(timeout=_LOOK_SECONDS).brokers)
        except self._library.KafkaException:
            producer.poll(0)
            return False

    def _find(self, topic: str) -> None:
        """Wait until a topic is there, which brokers may make when they are asked for it.

        Messages to one that is not known yet would fail one by one, and later ones arrive before them.
        """
        deadline = time.monotonic() + CONNECT_SECONDS
        said = "no answer"
        while time.monotonic() < deadline:
            try:
                found = self._producer.list_topics(topic, timeout=CONNECT_SECONDS).topics[topic]
            except self._library.KafkaException as error:
                said = error.args[0].str()
            else:
                if found.error is None and found.partitions:
                    self._topics.add(topic)
                    return
                said = found.error.str() if found.error else "it has no partitions"
            self._producer.poll(_LOOK_SECONDS)
        raise _failing(topic, said)

    def _complained(self, error: Any) -> None:
        """Keep what librdkafka says; while it is connected it mends most of it by itself."""
        code = error.code()
        # That all brokers are down says less than what was said of each before.
        if code != self._codes.all_down or not self._said:
            self._said = error.str()
        self._hopeless = self._hopeless or code in self._codes.hopeless
        if error.fatal():
            self._failure = SinkUnavailable(f"the producer cannot go on ({error.str()})", unseen=True)

    def _produce(self, parcel: Messages, place: int) -> None:
        deadline = time.monotonic() + _ROOM_SECONDS
        message = parcel.messages[place]
        headers = [("event_id", message.event.id.encode())]
        reported = partial(self._reported, self._producer, parcel, place)
        while True:
            try:
                self._producer.produce(
                    message.topic, message.value, message.key, headers=headers, on_delivery=reported
                )
            except BufferError:
                if time.monotonic() >= deadline:
                    raise SinkUnavailable("the producer's queue is full", unseen=True) from None
                self._producer.poll(_LOOK_SECONDS)
            except self._library.KafkaException as error:
                if error.args[0].code() == self._codes.too_large:  # for us, whatever batch it is in
                    self._done(parcel, place, refusal=error.args[0].str())
                else:
                    reported(error.args[0], None)
                return
            else:
                return

    def _reported(self, producer: Any, parcel: Messages, place: int, error: Any, _message: Any) -> None:
        """Take note of what became of one message; called within ``poll`` and ``produce``."""
        if producer is not self._producer:
            if error is None:
                parcel.done[place] = 1
            return
        if error is None:
            self._said = ""
            self._done(parcel, place)
        elif self._is_refused(error, parcel.messages[place]):
            self._done(parcel, place, refusal=error.str())

    def _done(self, parcel: Messages, place: int, refusal: str | None = None) -> None:
        """Take note that a message is in Kafka, or never will be."""
        if refusal is not None:
            message = parcel.messages[place]
            parcel.refused.append(Refusal(message.batch, message.index, refusal))
        parcel.done[place] = 1
        self._open[parcel.id] -= 1
        self._settle(parcel)

    def _settle(self, parcel: Messages) -> None:
        if self._open.get(parcel.id) == 0:
            del self._open[parcel.id]
            self._confirmed.append(Confirmation(parcel.id, tuple(parcel.refused)))

    def _is_refused(self, error: Any, message: Message) -> bool:
        """Tell whether no broker will ever take it; have the producer replaced for what may be mended."""
        code = error.code()
        if code in self._codes.unfit:
            return True
        # Every message of a batch that was refused is reported: the first one has said what is to be done.
        if self._failure or code in self._codes.given_up:
            return False
        if code == self._codes.too_large:
            return self._is_too_large(message)
        self._failure = _failing(message.topic, error.str())
        return False

    def _is_too_large(self, message: Message) -> bool:
        """Have smaller batches made: brokers measure them, and the message may have been in large company."""
        size = len(message.value) + _OVERHEAD_BYTES
        if size >= self._batch_bytes:
            return True
        self._batch_bytes = max(self._batch_bytes // _SMALLER, size)
        self._failure = SinkUnavailable("brokers take smaller batches only")
        return False


def _failing(topic: str, why: str) -> SinkUnavailable:
    return SinkUnavailable(
        f"messages to the topic {topic} fail ({why})",
        remedy="create the topic or allow it to be created, and let the user write to it",
        unseen=True,
    )


def _silent() -> logging.Logger:
    """Return a logger that drops what librdkafka prints: errors come by callback."""
    quiet = logging.getLogger(f"{__name__}.librdkafka")
    quiet.disabled = True
    return quiet


def make(word: SinkWord, context: SinkContext) -> KafkaSink:
    """Return the sink of a word; raises ConfigError."""
    options = KafkaOptions.read(word)
    try:
        import confluent_kafka  # noqa: PLC0415 - an extra, which most users do without
    except ImportError as error:
        raise word.problem("Kafka needs a library: pip install compose-agent[kafka]") from error
    return KafkaSink(confluent_kafka, options, context.host)


SINK = SinkKind(
    name="kafka",
    schemes=("kafka",),
    help="Apache Kafka: kafka://a:9092,b:9092/TOPIC, where a topic may have {compose_project} and the like.",
    options=OPTIONS,
    make=make,
)
