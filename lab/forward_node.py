"""A private, real server of the Fluent forward protocol that is not ours: @fluent-org/logger's FluentServer.

::

    with ForwardNode(shared_key="secret", users={"shop": "password"}) as server:  # server.port
        ...
        assert [entry.record["log"] for entry in server.entries()] == [...]

Node.js and npm are taken when they are there, otherwise the distribution's packages are installed; the npm
package is fetched once, into the lab's cache.

Traps this module knows about:

- The server acknowledges a chunk before it hands out its entries: ``entries`` may lag behind an ack for a
  moment. Ask with ``wait_for``.
- It closes the connection without a word when a chunk is not to its liking (zstd, a wrong message).
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lab import LabError, packages
from lab.command import run
from lab.loopback import start_on_free_port
from lab.process import Process
from lab.scratch import Scratch

PACKAGE = {"private": True, "dependencies": {"@fluent-org/logger": "1.0.10"}}
# Two packages of a few hundred kilobytes, from a slow mirror.
_INSTALL_TIMEOUT_S = 120
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
            folder = install()
            scratch = Scratch()
            cleanup.callback(scratch.close)
            self._entries = scratch.root / "entries.ndjson"
            self._entries.touch()
            process, url = start_on_free_port(lambda address: self._process(scratch, folder, address))
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

    def _process(self, scratch: Scratch, folder: Path, address: str) -> Process:
        options = {
            "port": int(address.rpartition(":")[2]),
            "entries": str(self._entries),
            "security": self._security,
            "tls": self._tls and {name: _text(getattr(self._tls, name)) for name in ("cert", "key", "ca")},
        }
        process = Process(
            scratch,
            [packages.which("node") or "node", str(folder / "sink.js")],
            name="forward-node",
            answers=lambda: "READY" in process.logs(),
            environment={"FORWARD_NODE": json.dumps(options)},
        )
        return process


def install() -> Path:
    """Return the folder in the cache with the npm package and our program, made when it is not there."""
    content = json.dumps(PACKAGE)
    fingerprint = hashlib.sha256((content + _PROGRAM).encode()).hexdigest()[:8]
    target = packages.cache_folder() / f"forward-node-{fingerprint}"
    packages.ensure_installed({"node": "nodejs", "npm": "npm"})
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".installing-") as temporary:
        folder = Path(temporary) / "forward-node"
        folder.mkdir()
        (folder / "package.json").write_text(content, encoding="utf-8")
        (folder / "sink.js").write_text(_PROGRAM, encoding="utf-8")
        packages.progress("installing @fluent-org/logger")
        _npm(folder)
        try:
            folder.rename(target)
        except OSError:
            # Somebody else installed the same at the same moment: one folder is as good as the other.
            if not target.is_dir():
                raise
    return target


def _npm(folder: Path) -> None:
    command = [packages.which("npm") or "npm", "install", "--no-package-lock", "--no-audit", "--no-fund"]
    run(
        command,
        timeout=_INSTALL_TIMEOUT_S,
        remedy="check Node.js and the network",
        cwd=folder,
        environment={"NO_UPDATE_NOTIFIER": "1"},
    )


def _text(path: Path | None) -> str | None:
    return str(path) if path else None
