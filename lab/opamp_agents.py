"""OpAMP agents that are not ours: the clients of OpenTelemetry for Python and of Elastic for Node.js.

::

    with PythonAgent("http://127.0.0.1:4320/v1/opamp", name="py", interval=1) as agent:
        ...

Both speak plain HTTP. They take configurations, print each as ``CONFIG {file: text}``, and refuse those in
which ``bad`` stands.

Traps this module knows about:

- The Node client's timers do not keep its process alive.
- The Python client has no uid of its own choice: each process is another agent. When it ends it says goodbye
  twice, and may send a heartbeat behind that.
"""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from lab import npm
from lab.process import Process
from lab.scratch import Scratch

_PYTHON = """\
import json, os, signal, time
from opentelemetry._opamp.agent import OpAMPAgent
from opentelemetry._opamp.callbacks import OpAMPCallbacks
from opentelemetry._opamp.client import OpAMPClient
from opentelemetry._opamp.proto import opamp_pb2
class Callbacks(OpAMPCallbacks):
    def on_message(self, agent, client, message):
        given = message.remote_config
        if given is None:
            return
        files = {name: file.body.decode() for name, file in given.config.config_map.items()}
        bad = any("bad" in text for text in files.values())
        statuses = opamp_pb2.RemoteConfigStatuses
        status = client.update_remote_config_status(
            given.config_hash,
            statuses.RemoteConfigStatuses_FAILED if bad else statuses.RemoteConfigStatuses_APPLIED,
            "bad is no option" if bad else "",
        )
        if status is not None:
            agent.send(client.build_remote_config_status_response_message(status))
        print("CONFIG", json.dumps(files), flush=True)
options = json.loads(os.environ["OPAMP_AGENT"])
attributes = {"service.name": "python-agent", "service.instance.id": options["name"]}
client = OpAMPClient(endpoint=options["url"], agent_identifying_attributes=attributes)
agent = OpAMPAgent(interval=options["interval"], callbacks=Callbacks(), client=client)
stopping = []
signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
agent.start()
print("READY", flush=True)
while not stopping:
    time.sleep(0.1)
agent.stop()
"""

_NODE = """\
const { createOpAMPClient, AgentCapabilities, RemoteConfigStatuses } = require("@elastic/opamp-client-node");
const options = JSON.parse(process.env.OPAMP_AGENT);
const client = createOpAMPClient({
  endpoint: options.url,
  heartbeatIntervalSeconds: options.interval,
  capabilities:
    AgentCapabilities.AgentCapabilities_AcceptsRemoteConfig |
    AgentCapabilities.AgentCapabilities_ReportsRemoteConfig,
  onMessage: ({ remoteConfig }) => {
    if (!remoteConfig) return;
    const given = Object.entries(remoteConfig.config?.configMap ?? {});
    const files = Object.fromEntries(given.map(([name, file]) => [name, Buffer.from(file.body).toString()]));
    const bad = Object.values(files).some((text) => text.includes("bad"));
    client.setRemoteConfigStatus({
      lastRemoteConfigHash: remoteConfig.configHash,
      status: bad
        ? RemoteConfigStatuses.RemoteConfigStatuses_FAILED
        : RemoteConfigStatuses.RemoteConfigStatuses_APPLIED,
      errorMessage: bad ? "bad is no option" : "",
    });
    console.log("CONFIG " + JSON.stringify(files));
  },
});
client.setAgentDescription({
  identifyingAttributes: { "service.name": "node-agent", "service.instance.id": options.name },
});
client.start();
console.log("READY");
setInterval(() => {}, 1000);
process.on("SIGTERM", () => process.exit(0));
"""


class _ForeignAgent(ABC):
    """A process with a client that registers as ``name`` at ``url`` and speaks every ``interval`` seconds.

    At the end of the with statement it is ended as a user would, and says goodbye if it does that.
    """

    def __init__(self, url: str, *, name: str, interval: float = 1.0) -> None:
        self._options = {"url": url, "name": name, "interval": interval}
        self._cleanup = ExitStack()
        self._process: Process | None = None

    @abstractmethod
    def command(self) -> Sequence[str]:
        """Return what starts it."""

    def __enter__(self) -> Self:
        with ExitStack() as cleanup:
            scratch = Scratch()
            cleanup.callback(scratch.close)
            process = Process(
                scratch,
                self.command(),
                name="opamp-agent",
                answers=lambda: "READY" in process.logs(),
                environment={"OPAMP_AGENT": json.dumps(self._options)},
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

    def configs(self) -> list[dict[str, str]]:
        """Return the configurations that it was sent, the oldest first."""
        lines = [line for line in self.logs().splitlines() if line.startswith("CONFIG ")]
        return [json.loads(line.removeprefix("CONFIG ")) for line in lines]

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
        program = npm.installed("opamp-node", "@elastic/opamp-client-node", "0.5.0", _NODE)
        return [npm.node(), str(program)]
