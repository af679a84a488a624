"""A private, real server of the Fluent forward protocol that is not ours: @fluent-org/logger's FluentServer.

::

    with ForwardNode(shared_key="secret", users={"shop": "password"}) as server:  # server.port
        ...
        assert [entry.record["log"] for entry in server.entries()] == [...]

Traps this module knows about:

- The server acknowledges a chunk before it hands out its entries: ``entries`` may lag behind an ack for a
  moment. Ask with ``wait_for``.
- It closes the connection without a word when a chunk is not to its liking (zstd, a wrong message).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lab import LabError, npm
from lab.loopback import start_on_free_port
from lab.process import Process
from lab.scratch import Scratch

# From an ack to the entries in the file.
WAIT_TIMEOUT_S = 10.0
_POLL_S = 0.01

_PROGRAM = """\
const fs = require("fs");
const { FluentServer } = require("@fluent-org/logger");
const options = JSON.parse(process.env.FORWARD_NODE);
const server = new FluentServer({
  listenOptions: { port: options.port, host: "127.0.0.1" },
  tlsOptions: options.tls && {
    cert: fs.readFileSync(options.tls.cert),
    key: fs.readFileSync(options.tls.key),
    ca: options.tls.ca && fs.readFileSync(options.tls.ca),
    requestCert: Boolean(options.tls.ca),
    rejectUnauthorized: Boolean(options.tls.ca),
  } || undefined,
  security: options.security || undefined,
});
const file = fs.openSync(options.entries, "a");
server.on("entry", (tag, time, record) => {
  const ns = BigInt(time.epoch ?? time) * 1000000000n + BigInt(time.nano ?? 0);
  fs.writeSync(file, JSON.stringify([tag, String(ns), record]) + "\\n");
});
server.listen().then(() => console.log("READY", server.port));
process.on("SIGTERM", () => process.exit(0));
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event as the server understood it."""

    tag: str
    time_ns: int
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of the server; with ``ca`` it asks clients for a certificate of that authority."""

    cert: Path
    key: Path
    ca: Path | None = None


class ForwardNode:
    """The server on a free loopback port."""

    def __init__(
        self,
        *,
        shared_key: str | None = None,
        users: Mapping[str, str] | None = None,
        hostname: str = "forward-node",
        tls: TlsFiles | None = None,
    ) -> None:
        self.port = 0
        self._tls = tls
        self._security = shared_key and {
            "serverHostname": hostname,
            "sharedKey": shared_key,
            "authorize": bool(users),
            "userDict": dict(users or {}),
        }
        self._cleanup = ExitStack()
        self._entries = Path()

    def __enter__(self) -> Self:
        with ExitStack() as cleanup:
            program = install()
            scratch = Scratch()
            cleanup.callback(scratch.close)
            self._entries = scratch.root / "entries.ndjson"
            self._entries.touch()
            process, url = start_on_free_port(lambda address: self._process(scratch, program, address))
            cleanup.callback(process.close)
            self.port = int(url.rpartition(":")[2])
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def entries(self) -> list[Entry]:
        """Return every event so far, in the order of arrival."""
        lines = self._entries.read_text(encoding="utf-8").splitlines(keepends=True)
        decoded = [json.loads(line) for line in lines if line.endswith("\n")]
        return [Entry(tag, int(time_ns), record) for tag, time_ns, record in decoded]

    def wait_for(self, count: int, timeout: float = WAIT_TIMEOUT_S) -> list[Entry]:
        """Return every event as soon as there are ``count``; LabError after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while len(entries := self.entries()) < count:
            if time.monotonic() > deadline:
                raise LabError(f"{len(entries)} of {count} events within {timeout:g} s")
            time.sleep(_POLL_S)
        return entries

    def _process(self, scratch: Scratch, program: Path, address: str) -> Process:
        options = {
            "port": int(address.rpartition(":")[2]),
            "entries": str(self._entries),
            "security": self._security,
            "tls": self._tls and {name: _text(getattr(self._tls, name)) for name in ("cert", "key", "ca")},
        }
        process = Process(
            scratch,
            [npm.node(), str(program)],
            name="forward-node",
            answers=lambda: "READY" in process.logs(),
            environment={"FORWARD_NODE": json.dumps(options)},
        )
        return process


def install() -> Path:
    """Return our program, beside the npm package in the cache, made when it is not there."""
    return npm.installed("forward-node", "@fluent-org/logger", "1.0.10", _PROGRAM)


def _text(path: Path | None) -> str | None:
    return str(path) if path else None
