"""OpAMP agents that are not ours: the clients of OpenTelemetry for Python and of Elastic for Node.js.

::

    with PythonAgent("http://127.0.0.1:4320/v1/opamp", name="py", interval=1) as agent:
        ...

Both speak plain HTTP. Node.js and npm are taken when they are there, otherwise the distribution's packages
are installed; the npm package is fetched once, into the lab's cache.

Traps this module knows about:

- The Node client's timers do not keep its process alive.
- The Python client has no uid of its own choice: each process is another agent. When it ends it says goodbye
  twice, and may send a heartbeat behind that.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from lab import packages
from lab.command import run
from lab.process import Process
from lab.scratch import Scratch

PACKAGE = {"private": True, "dependencies": {"@elastic/opamp-client-node": "0.5.0"}}
_INSTALL_TIMEOUT_S = 120

_PYTHON = """\
import json, os, signal, time
from opentelemetry._opamp.agent import OpAMPAgent
from opentelemetry._opamp.callbacks import OpAMPCallbacks
from opentelemetry._opamp.client import OpAMPClient
options = json.loads(os.environ["OPAMP_AGENT"])
attributes = {"service.name": "python-agent", "service.instance.id": options["name"]}
client = OpAMPClient(endpoint=options["url"], agent_identifying_attributes=attributes)
agent = OpAMPAgent(interval=options["interval"], callbacks=OpAMPCallbacks(), client=client)
stopping = []
signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
agent.start()
print("READY", flush=True)
while not stopping:
    time.sleep(0.1)
agent.stop()
"""

_NODE = """\
const { createOpAMPClient } = require("@elastic/opamp-client-node");
const options = JSON.parse(process.env.OPAMP_AGENT);
const client = createOpAMPClient({ endpoint: options.url, heartbeatIntervalSeconds: options.interval });
client.setAgentDescription({
  identifyingAttributes: { "service.name": "node-agent", "service.instance.id": options.name },
});
client.start();
console.log("READY");
setInterval(() => {}, 1000);
process.on("SIGTERM", () => process.exit(0));
"""


class _ForeignAgent:
    """A process with a client that registers as ``name`` at ``url`` and speaks every ``interval`` seconds.

    At the end of the with statement it is ended as a user would, and says goodbye if it does that.
    """

    def __init__(self, url: str, *, name: str, interval: float = 1.0) -> None:
        self._options = {"url": url, "name": name, "interval": interval}
        self._cleanup = ExitStack()
        self._process: Process | None = None

    def command(self) -> Sequence[str]:
        """Return what starts it."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """Return what it needs besides."""
        return {}

    def __enter__(self) -> Self:
        with ExitStack() as cleanup:
            scratch = Scratch()
            cleanup.callback(scratch.close)
            process = Process(
                scratch,
                self.command(),
                name="opamp-agent",
                answers=lambda: "READY" in process.logs(),
                environment={"OPAMP_AGENT": json.dumps(self._options), **self.environment()},
            )
            cleanup.callback(process.close)
            process.start()
            cleanup.callback(process.end)
            self._process = process
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def logs(self) -> str:
        """Return what it has printed."""
        return self._process.logs() if self._process else ""


class PythonAgent(_ForeignAgent):
    """OpenTelemetry's client, from the test environment."""

    def command(self) -> Sequence[str]:
        """Return what starts it."""
        return [sys.executable, "-P", "-c", _PYTHON]


class NodeAgent(_ForeignAgent):
    """Elastic's client."""

    def command(self) -> Sequence[str]:
        """Return what starts it."""
        return [packages.which("node") or "node", str(install() / "agent.js")]


def install() -> Path:
    """Return the folder in the cache with the npm package and our program, made when it is not there."""
    content = json.dumps(PACKAGE)
    fingerprint = hashlib.sha256((content + _NODE).encode()).hexdigest()[:8]
    target = packages.cache_folder() / f"opamp-node-{fingerprint}"
    packages.ensure_installed({"node": "nodejs", "npm": "npm"})
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".installing-") as temporary:
        folder = Path(temporary) / "opamp-node"
        folder.mkdir()
        (folder / "package.json").write_text(content, encoding="utf-8")
        (folder / "agent.js").write_text(_NODE, encoding="utf-8")
        packages.progress("installing @elastic/opamp-client-node")
        run(
            [packages.which("npm") or "npm", "install", "--no-package-lock", "--no-audit", "--no-fund"],
            timeout=_INSTALL_TIMEOUT_S,
            remedy="check Node.js and the network",
            cwd=folder,
            environment={"NO_UPDATE_NOTIFIER": "1"},
        )
        try:
            folder.rename(target)
        except OSError:
            # Somebody else installed the same at the same moment: one folder is as good as the other.
            if not target.is_dir():
                raise
    return target
