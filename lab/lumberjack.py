"""A private, real server of Lumberjack v2 that is not ours: Elastic's go-lumber, which Beats are tested with.

::

    with Lumberjack() as server:  # server.port
        ...
        assert [event["message"] for event in server.wait_for(3)] == [...]

It is built once, into the lab's cache. Any Go from 1.19 on will do, which is what Debian 12 has: the module
names no newer one, and its one dependency is held at a release of that time.

Traps this module knows about:

- While a window is not acknowledged the server acknowledges the number 0 now and then: it lives, no more.
- ``pause_s`` is the time that it takes over each window, ``keepalive_s`` the time between signs of life.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lab import LabError, packages
from lab.command import run
from lab.forward_node import TlsFiles
from lab.loopback import listens, start_on_free_port
from lab.process import Process
from lab.scratch import Scratch

# A small program, and two modules from a slow mirror, on two busy cores.
_BUILD_TIMEOUT_S = 300
# From an acknowledgement to the events in the file.
WAIT_TIMEOUT_S = 10.0
_POLL_S = 0.01

_MODULE = """\
module lumberjack

go 1.19

require (
	github.com/elastic/go-lumber v0.1.0
	github.com/klauspost/compress v1.15.15
)
"""
_PROGRAM = """\
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	server "github.com/elastic/go-lumber/server/v2"
)

func check(failure error) {
	if failure != nil {
		fmt.Fprintln(os.Stderr, failure)
		os.Exit(1)
	}
}

func secured(cert, key, ca string) *tls.Config {
	pair, failure := tls.LoadX509KeyPair(cert, key)
	check(failure)
	config := &tls.Config{Certificates: []tls.Certificate{pair}}
	if ca != "" {
		pem, failure := os.ReadFile(ca)
		check(failure)
		config.ClientCAs = x509.NewCertPool()
		config.ClientCAs.AppendCertsFromPEM(pem)
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return config
}

func main() {
	address := flag.String("address", "", "")
	path := flag.String("events", "", "")
	cert := flag.String("cert", "", "")
	key := flag.String("key", "", "")
	ca := flag.String("ca", "", "")
	keepalive := flag.Duration("keepalive", 3*time.Second, "")
	pause := flag.Duration("pause", 0, "")
	flag.Parse()
	options := []server.Option{server.Timeout(30 * time.Second), server.Keepalive(*keepalive)}
	if *cert != "" {
		options = append(options, server.TLS(secured(*cert, *key, *ca)))
	}
	file, failure := os.OpenFile(*path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	check(failure)
	listening, failure := server.ListenAndServe(*address, options...)
	check(failure)
	fmt.Println("READY")
	encoder := json.NewEncoder(file)
	for batch := range listening.ReceiveChan() {
		time.Sleep(*pause)
		for _, event := range batch.Events {
			check(encoder.Encode(event))
		}
		batch.ACK()
	}
}
"""


class Lumberjack:
    """The server on a free loopback port; ``process`` has ``end``, ``start``, ``freeze`` and ``thaw``."""

    def __init__(
        self, *, tls: TlsFiles | None = None, pause_s: float = 0.0, keepalive_s: float = 3.0
    ) -> None:
        self.port = 0
        self.process: Process
        self._tls = tls
        self._times = [f"-pause={pause_s}s", f"-keepalive={keepalive_s}s"]
        self._cleanup = ExitStack()
        self._events = Path()

    def __enter__(self) -> Self:
        with ExitStack() as cleanup:
            program = build()
            scratch = Scratch()
            cleanup.callback(scratch.close)
            self._events = scratch.root / "events.ndjson"
            self._events.touch()
            self.process, url = start_on_free_port(lambda address: self._process(scratch, program, address))
            cleanup.callback(self.process.close)
            self.port = int(url.rpartition(":")[2])
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def events(self) -> list[dict[str, Any]]:
        """Return every event so far, in the order of arrival."""
        lines = self._events.read_text(encoding="utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def wait_for(self, count: int, timeout: float = WAIT_TIMEOUT_S) -> list[dict[str, Any]]:
        """Return every event as soon as there are ``count``; LabError after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while len(events := self.events()) < count:
            if time.monotonic() > deadline:
                raise LabError(f"{len(events)} of {count} events within {timeout:g} s")
            time.sleep(_POLL_S)
        return events

    def _process(self, scratch: Scratch, program: Path, address: str) -> Process:
        command = [str(program), f"-address={address}", f"-events={self._events}", *self._times]
        if self._tls:
            command += [f"-cert={self._tls.cert}", f"-key={self._tls.key}", f"-ca={self._tls.ca or ''}"]
        return Process(scratch, command, name="lumberjack", answers=lambda: listens(address))


def build() -> Path:
    """Return the program in the cache, built when it is not there."""
    fingerprint = hashlib.sha256((_MODULE + _PROGRAM).encode()).hexdigest()[:8]
    target = packages.cache_folder() / f"lumberjack-{fingerprint}"
    if target.is_file():
        return target
    packages.ensure_installed({"go": "golang-go"})
    target.parent.mkdir(parents=True, exist_ok=True)
    packages.progress("building a Lumberjack server")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".building-") as temporary:
        folder = Path(temporary)
        (folder / "go.mod").write_text(_MODULE, encoding="utf-8")
        (folder / "main.go").write_text(_PROGRAM, encoding="utf-8")
        _go(folder, "mod", "tidy")
        _go(folder, "build", "-o", "lumberjack", ".")
        # Somebody else may build the same at the same moment: one program is as good as the other.
        (folder / "lumberjack").replace(target)
    return target


def _go(folder: Path, *arguments: str) -> None:
    # A Go that is too old says so, and fetches no other one.
    environment = {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"}
    run(
        [packages.which("go") or "go", *arguments],
        timeout=_BUILD_TIMEOUT_S,
        remedy="check Go and the network",
        cwd=folder,
        environment=environment,
    )
