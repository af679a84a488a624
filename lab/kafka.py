"""A private, real Kafka of one node (KRaft): frozen, killed, and started again on its data.

::

    with Kafka() as server:  # server.address
        ...

The jars come by Maven, once, into the lab's cache.

Traps this module knows about:

- The port opens before the node can serve: ready is when it answers with metadata (``answers``), which is for
  a client to ask, so that the lab needs none.
- A heap of 160 MB is too small for the log cleaner's default buffer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from lab import maven
from lab.command import run
from lab.loopback import free_port, listens, start_on_free_port
from lab.process import Process
from lab.scratch import Scratch

VERSION = "4.4.0"
HEAP = "160m"
_FORMAT_TIMEOUT_S = 120
# Any id will do: the node is alone.
_CLUSTER = "AAAAAAAAAAAAAAAAAAAAAQ"
_ARTIFACTS = (f"org.apache.kafka:kafka_2.13:{VERSION}", "org.slf4j:slf4j-simple:1.7.36")


class Kafka:
    """Kafka on a free loopback port; ``process`` has ``end``, ``start``, ``freeze`` and ``thaw``.

    ``settings`` go into its configuration, such as ``message.max.bytes``.
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.address = ""
        self.process: Process
        self._settings = settings or {}
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        folder = maven.jars(f"kafka-{VERSION}", *_ARTIFACTS)
        with ExitStack() as cleanup:
            scratch = Scratch()
            cleanup.callback(scratch.close)
            self.process, url = start_on_free_port(lambda address: self._prepared(scratch, folder, address))
            cleanup.callback(self.process.close)
            self.address = url.removeprefix("http://")
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def _prepared(self, scratch: Scratch, folder: Path, address: str) -> Process:
        """Format a data folder for an address, and return the process that is to serve it."""
        data = Path(tempfile.mkdtemp(dir=scratch.root))
        config = data / "server.properties"
        lines = {**_configuration(address, f"127.0.0.1:{free_port()}", data / "log"), **self._settings}
        config.write_text("".join(f"{key}={text}\n" for key, text in lines.items()), encoding="utf-8")
        java = [*maven.java(HEAP, folder), "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        storage = [*java, "kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(config)]
        run(storage, timeout=_FORMAT_TIMEOUT_S)
        server = [*java, "kafka.Kafka", str(config)]
        return Process(scratch, server, name="kafka", answers=lambda: listens(address))


def _configuration(address: str, controller: str, data: Path) -> dict[str, str]:
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{controller}",
        "listeners": f"PLAINTEXT://{address},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{address}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(data),
        "num.partitions": "3",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "1",
        "group.initial.rebalance.delay.ms": "0",
        "log.cleaner.dedupe.buffer.size": "4194304",
    }
