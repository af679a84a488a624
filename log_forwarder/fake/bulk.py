"""A fake of Elasticsearch's and OpenSearch's ``_bulk``, with faults on demand.

::

    with FakeBulk() as fake:
        fake.faults.drop = 1
        ...
        assert fake.store.ids("logs-docker-default") == [...]

It knows ``_bulk``, ``_mget``, ``_data_stream``, ``_rollover``, ``_index_template``, and the dashboards' saved
objects. Names that begin with ``logs-`` are data streams. ``python -m log_forwarder.fake.bulk --port N`` runs
it by itself: it prints READY, and its counts as JSON when it is told to end; ``PUT /-/faults`` with
``{"drop": 1}`` sets faults while it runs.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import signal
import socket
import ssl
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from log_forwarder.fake.bulk_store import BulkStore, Faults

_INFO = {"version": {"distribution": "opensearch", "number": "2.19.1"}, "tagline": "a fake"}
# Nobody waits longer for an answer that never comes; ends the handler's thread.
_HANG_SECONDS = 120.0


class FakeBulk:
    """The server, on a loopback port; ``credentials`` is the Authorization header that it asks for."""

    def __init__(
        self,
        port: int = 0,
        *,
        tls: ssl.SSLContext | None = None,
        credentials: str = "",
        faults: Faults | None = None,
    ) -> None:
        self.faults = faults or Faults()
        self.store = BulkStore(self.faults)
        self.objects: dict[str, Any] = {}  # templates and saved objects, by their path
        self.requests: Counter[str] = Counter()  # by the last part of the path
        self.credentials = credentials
        self.info: dict[str, Any] = _INFO
        self.ended = threading.Event()
        self._server = _Server(self, port, tls)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    def counts(self) -> dict[str, Any]:
        """Return what it has and what it answered, ready for JSON."""
        indices = {name: len(documents) for name, documents in self.store.indices.items()}
        unique = len({id_ for documents in self.store.indices.values() for id_ in documents})
        items = {str(status): count for status, count in sorted(self.store.items.items())}
        return {
            "documents": sum(indices.values()),
            "ids": unique,
            "indices": indices,
            "items": items,
            "requests": dict(self.requests),
        }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a handler may hang on purpose

    def __init__(self, fake: FakeBulk, port: int, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.fake = fake
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that break off are what it is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _handle(self) -> None:
        fake = self.server.fake
        self._body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urlsplit(self.path).path
        fake.requests[path.rsplit("/", 1)[-1]] += 1
        if fake.credentials and self.headers.get("Authorization") != fake.credentials:
            self._answer(401, {"error": "missing authentication credentials", "status": 401})
            return
        for pattern, method in _ROUTES:
            if (match := re.fullmatch(pattern, path)) is not None:
                getattr(self, method)(*match.groups())
                return
        self._answer(404, {"error": f"no handler for {path}", "status": 404})

    def _info(self) -> None:
        self._answer(200, self.server.fake.info)

    def _bulk(self, target: str | None) -> None:
        faults = self.server.fake.faults
        if self._hangs():
            return
        if faults.statuses:
            status, headers = faults.statuses.pop(0)
            self._answer(status, {"error": "on demand", "status": status}, **headers)
        elif faults.most_bytes is not None and len(self._body) > faults.most_bytes:
            self._answer(413, {"error": "too large", "status": 413})
        else:
            self._store(target or "")

    def _hangs(self) -> bool:
        faults = self.server.fake.faults
        if not faults.hang:
            return False
        faults.hang -= 1
        self.server.fake.ended.wait(_HANG_SECONDS)
        self.close_connection = True
        return True

    def _store(self, target: str) -> None:
        fake = self.server.fake
        is_gzip = self.headers.get("Content-Encoding") == "gzip"
        body = gzip.decompress(self._body) if is_gzip else self._body
        if not body.endswith(b"\n"):
            reason = "The bulk request must be terminated by a newline [\\n]"
            self._answer(
                400, {"error": {"type": "illegal_argument_exception", "reason": reason}, "status": 400}
            )
            return
        started = time.monotonic()
        items = fake.store.bulk(body[:-1].split(b"\n"), target)
        if fake.faults.drop:
            fake.faults.drop -= 1
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if fake.faults.late_seconds:
            fake.ended.wait(fake.faults.late_seconds)
        errors = any("error" in outcome for item in items for outcome in item.values())
        took = int((time.monotonic() - started) * 1000)
        self._answer(200, {"took": took, "errors": errors, "items": items})

    def _mget(self, index: str) -> None:
        store = self.server.fake.store
        if index not in store.indices:
            self._missing(index)
            return
        ids = json.loads(self._body)["ids"]
        self._answer(200, {"docs": [{"_id": each, "found": store.has(index, each)} for each in ids]})

    def _data_stream(self, name: str) -> None:
        if (backing := self.server.fake.store.streams.get(name)) is None:
            self._missing(name)
            return
        indices = [{"index_name": each} for each in backing]
        self._answer(200, {"data_streams": [{"name": name, "indices": indices}]})

    def _rollover(self, name: str) -> None:
        if name not in self.server.fake.store.streams:
            self._missing(name)
            return
        self._answer(200, {"rolled_over": True, "new_index": self.server.fake.store.roll_over(name)})

    def _keep(self, path: str) -> None:
        self.server.fake.objects[path] = json.loads(self._body)
        self._answer(200, {"acknowledged": True})

    def _faults(self) -> None:
        for name, value in json.loads(self._body).items():
            setattr(self.server.fake.faults, name, value)
        self._answer(200, {"acknowledged": True})

    def _counts(self) -> None:
        self._answer(200, self.server.fake.counts())

    def _missing(self, name: str) -> None:
        error = {"type": "index_not_found_exception", "reason": f"no such index [{name}]"}
        self._answer(404, {"error": error, "status": 404})

    def _answer(self, status: int, body: Any, **headers: str) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, text in {
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
            **headers,
        }.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(data)


_ROUTES = (
    (r"/", "_info"),
    (r"/-/faults", "_faults"),
    (r"/-/counts", "_counts"),
    (r"(?:/([^/]+))?/_bulk", "_bulk"),
    (r"/([^/]+)/_mget", "_mget"),
    (r"/_data_stream/([^/]+)", "_data_stream"),
    (r"/([^/]+)/_rollover", "_rollover"),
    (r"(/_index_template/[^/]+|/api/saved_objects/.+)", "_keep"),
)


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description="A fake _bulk server with faults on demand.")
    parser.add_argument("--port", type=int, default=9200)
    parser.add_argument("--busy-percent", type=float, default=0.0, help="items answered with 429")
    parser.add_argument("--seed", type=int, default=0, help="chooses them")
    parser.add_argument("--late-seconds", type=float, default=0.0, help="pause before each answer")
    parser.add_argument("--most-bytes", type=int, help="larger requests are answered with 413")
    parser.add_argument("--poison", help="a document whose message has this text is refused")
    given = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    faults = Faults(
        poison=(lambda document: given.poison in document.get("message", "")) if given.poison else None,
        busy_percent=given.busy_percent,
        seed=given.seed,
        most_bytes=given.most_bytes,
        late_seconds=given.late_seconds,
    )
    with FakeBulk(given.port, faults=faults) as fake:
        print(f"READY {fake.port}", flush=True)  # noqa: T201 - for whoever started it
        stop.wait()
        json.dump(fake.counts(), sys.stdout)


if __name__ == "__main__":
    main()
