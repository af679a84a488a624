"""A private, real OpenTelemetry Collector that is not ours: OTLP over HTTP in, the same out to who judges.

::

    with FakeCollector() as judge, OtelCollector(judge.url) as collector:
        ...                      # send to collector.url
        judge.wait_for(3)        # what the Collector has made of it

It is built once, into the lab's cache, with the Collector's own builder from the modules that are served.

Traps this module knows about:

- The builder fetches a newer Go when the one that is there is too old for the Collector.
- Its own telemetry listens on port 8888 unless told otherwise; here it has none.
- Without ``sending_queue`` an answer says whether the next one has taken the spans: what waits in a queue is
  lost when the Collector is killed.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lab import packages
from lab.command import run
from lab.loopback import listens, start_on_free_port
from lab.process import Process
from lab.scratch import Scratch

# Some hundred modules and a program of 30 MB, on two busy cores.
_BUILD_TIMEOUT_S = 1800
VERSION = "0.149.0"
_CORE = "go.opentelemetry.io/collector"
_PARTS = {
    "dist": {"name": "collector", "output_path": "./built", "version": VERSION},
    "receivers": [{"gomod": f"{_CORE}/receiver/otlpreceiver v{VERSION}"}],
    "exporters": [{"gomod": f"{_CORE}/exporter/otlphttpexporter v{VERSION}"}],
}


_SIGNALS = ("traces", "metrics")


class OtelCollector:
    """The Collector on a free loopback port; what it takes goes to the OTLP receiver at ``onward``.

    ``process`` has ``end``, ``start``, ``freeze`` and ``thaw``.
    """

    def __init__(self, onward: str) -> None:
        self.url = ""
        self.process: Process
        self._onward = onward
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as cleanup:
            program = build()
            scratch = Scratch()
            cleanup.callback(scratch.close)
            self.process, self.url = start_on_free_port(lambda at: self._process(scratch, program, at))
            cleanup.callback(self.process.close)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def _process(self, scratch: Scratch, program: Path, address: str) -> Process:
        file = scratch.root / "collector.yml"
        file.write_text(json.dumps(self._configuration(address)), encoding="utf-8")  # JSON is YAML as well
        command = [str(program), f"--config={file}"]
        return Process(scratch, command, name="otelcol", answers=lambda: listens(address))

    def _configuration(self, address: str) -> Mapping[str, Any]:
        onward = {
            "endpoint": self._onward,
            "sending_queue": {"enabled": False},
            "retry_on_failure": {"enabled": False},
        }
        through = {"receivers": ["otlp"], "exporters": ["otlphttp"]}
        return {
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": address}}}},
            "exporters": {"otlphttp": onward},
            "service": {
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": dict.fromkeys(_SIGNALS, through),
            },
        }


def build() -> Path:
    """Return the program in the cache, built when it is not there."""
    parts = json.dumps(_PARTS)
    target = packages.cache_folder() / f"otelcol-{hashlib.sha256(parts.encode()).hexdigest()[:8]}"
    if target.is_file():
        return target
    packages.ensure_installed({"go": "golang-go"})
    target.parent.mkdir(parents=True, exist_ok=True)
    packages.progress("building an OpenTelemetry Collector")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".building-") as temporary:
        folder = Path(temporary)
        (folder / "builder.json").write_text(parts, encoding="utf-8")
        go = packages.which("go") or "go"
        _run(folder, go, "install", f"{_CORE}/cmd/builder@v{VERSION}")
        _run(folder, str(folder / "builder"), "--config=builder.json")
        # Somebody else may build the same at the same moment: one program is as good as the other.
        (folder / "built" / "collector").replace(target)
    return target


def _run(folder: Path, *command: str) -> None:
    environment = {"GOBIN": str(folder), "GOTOOLCHAIN": "auto", "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"}
    run(
        list(command),
        timeout=_BUILD_TIMEOUT_S,
        remedy="check Go and the network",
        cwd=folder,
        environment=environment,
    )
