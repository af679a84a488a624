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

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from lab import LabError, packages
from lab.loopback import free_port, listens, start_on_free_port
from lab.process import Process
from lab.scratch import Scratch

VERSION = "4.4.0"
HEAP = "160m"
# Jars of 100 MB on a slow line.
_MAVEN_TIMEOUT_S = 900
_FORMAT_TIMEOUT_S = 120
# Any id will do: the node is alone.
_CLUSTER = "AAAAAAAAAAAAAAAAAAAAAQ"

_POM = f"""<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>lab</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
"""


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
        packages.ensure_installed({"java": "openjdk-17-jdk-headless", "mvn": "maven"})
        folder = _jars()
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
        command = [*_java(folder), "kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(config)]
        _run(command, _FORMAT_TIMEOUT_S, "Kafka's data folder could not be formatted")
        return Process(
            scratch,
            [*_java(folder), "kafka.Kafka", str(config)],
            name="kafka",
            answers=lambda: listens(address),
        )


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


def _java(folder: Path) -> list[str]:
    # One compiler and the serial collector: it starts sooner, and leaves a core to the others.
    java = ["java", f"-Xms{HEAP}", f"-Xmx{HEAP}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    return [*java, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{folder}/lib/*"]


def _jars() -> Path:
    """Return the folder with the jars, fetched once."""
    target = packages.cache_folder() / f"kafka-{VERSION}"
    if not (target / "lib").is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        packages.progress(f"fetching Kafka {VERSION}")
        work = Path(tempfile.mkdtemp(dir=target.parent, prefix=".fetching-"))
        try:
            (work / "pom.xml").write_text(_POM, encoding="utf-8")
            command = ["mvn", "-q", "-B", "-f", str(work), "dependency:copy-dependencies"]
            _run([*command, f"-DoutputDirectory={work}/lib"], _MAVEN_TIMEOUT_S, "Maven could not fetch Kafka")
            work.rename(target)
        except OSError:
            # Somebody else fetched the same at the same moment.
            if not (target / "lib").is_dir():
                raise
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return target


def _run(command: list[str], timeout: float, failure: str) -> None:
    try:
        done = subprocess.run(
            command, env=os.environ, capture_output=True, text=True, timeout=timeout, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise LabError(f"{failure}: {error}") from error
    if done.returncode:
        raise LabError(f"{failure}: {' '.join((done.stdout + done.stderr).split())[-300:]}")
