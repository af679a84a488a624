"""A private, real Prometheus with a given configuration, and its promtool.

::

    with Prometheus({"scrape_configs": [...]}) as prometheus:
        prometheus.wait_for('up{job="exporter"} == 1')

An installed Prometheus is taken when there is one, otherwise the distribution's package is unpacked.
With ``suite="forky"`` it is always that suite's, which is one major version newer than bookworm's.

Traps this module knows about:

- Prometheus is ready at once, but scrapes for the first time after 5 s, whatever the interval: its
  discovery collects targets for that long.  Ask with ``wait_for``.
- A port that was free a moment ago may be taken now; the start is tried again with another.
"""

from __future__ import annotations

import json
import math
import subprocess
import time
import urllib.error
import urllib.parse
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from lab import LabError, packages
from lab.loopback import DIRECT, answers, start_on_free_port
from lab.process import Process
from lab.scratch import Scratch

# Prometheus' own limit of a query is two minutes; one that takes this long here is a bug.
_QUERY_TIMEOUT_S = 20
_PROMTOOL_TIMEOUT_S = 60
# Some scrapes of 1 s and a slow start of what is scraped.
WAIT_TIMEOUT_S = 30.0
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an instant query: its labels, ``__name__`` among them, and its value."""

    labels: Mapping[str, str]
    value: float


class Api:
    """The HTTP API of the Prometheus at ``url``."""

    def __init__(self, url: str) -> None:
        self.url = url

    def api(self, path: str, **parameters: str) -> Any:
        """Return the ``data`` of an answer of the HTTP API: ``api("targets", state="active")``."""
        address = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with DIRECT.open(address, timeout=_QUERY_TIMEOUT_S) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise LabError(f"Prometheus refused {path} {parameters}: {error.read().decode()}") from error

    def query(self, expression: str) -> list[Sample]:
        """Return the series of an instant query, a scalar as one without labels."""
        data = self.api("query", query=expression)
        if data["resultType"] == "scalar":
            return [Sample({}, _number(data["result"][1]))]
        return [Sample(series["metric"], _number(series["value"][1])) for series in data["result"]]

    def wait_for(self, expression: str, timeout: float = WAIT_TIMEOUT_S) -> list[Sample]:
        """Return the series of a query as soon as there are any; LabError after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while not (samples := self.query(expression)):
            if time.monotonic() > deadline:
                raise LabError(
                    f"no series within {timeout:g} s for {expression}; targets: {self.api('targets')}"
                )
            time.sleep(_POLL_S)
        return samples


class Prometheus(Api):
    """Prometheus on a free loopback port; ``configuration`` is prometheus.yml as a mapping.

    ``flags`` are given besides.
    """

    def __init__(
        self, configuration: Mapping[str, Any], *, suite: str | None = None, flags: Sequence[str] = ()
    ) -> None:
        super().__init__("")
        self._configuration = configuration
        self._flags = flags
        self._suite = suite
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as cleanup:
            scratch = Scratch()
            cleanup.callback(scratch.close)
            program = _program("prometheus", self._suite)
            # JSON is YAML as well.
            file = scratch.root / "prometheus.yml"
            file.write_text(json.dumps(self._configuration), encoding="utf-8")

            def at(address: str) -> Process:
                command = [
                    program,
                    f"--config.file={file}",
                    f"--storage.tsdb.path={scratch.root}/data",
                    f"--web.listen-address={address}",
                    *self._flags,
                ]
                ready = f"http://{address}/-/ready"
                return Process(scratch, command, name="prometheus", answers=lambda: answers(ready))

            process, self.url = start_on_free_port(at)
            cleanup.callback(process.close)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()


def promtool(
    *arguments: str, stdin: str | None = None, suite: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run promtool and return what it said; its status is for the caller to judge."""
    return _run([_program("promtool", suite), *arguments], stdin)


def _run(command: Sequence[str], stdin: str | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, input=stdin or "", capture_output=True, text=True, timeout=_PROMTOOL_TIMEOUT_S, check=False
    )


def _program(name: str, suite: str | None) -> str:
    if suite is None and (installed := packages.which(name)):
        return installed
    # Since trixie promtool is a package of its own.
    for package in ("prometheus", name):
        program = packages.unpack([package], suite) / "usr" / "bin" / name
        if program.is_file():
            return str(program)
    raise LabError(f"the package of Prometheus has no {name}", remedy="choose another suite")


def _number(text: str) -> float:
    return {"+Inf": math.inf, "-Inf": -math.inf}.get(text) or float(text)
