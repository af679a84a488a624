"""Every verb of this host, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from compose_agent.dockerd.client import EngineClient
from compose_agent.web.localclient import LocalClient
from fleet.agent.commands.verbs.contract import Verb
from fleet.agent.commands.verbs.itself import SUPERVISOR, Reload, UpgradeCheck
from fleet.agent.commands.verbs.looking import Inspect, Logs
from fleet.agent.commands.verbs.probe import Probe
from fleet.agent.commands.verbs.remediation import ROLE, ByRemediation
from fleet.envelopes.verbs import BY_REMEDIATION

# Several probes of a minute each at most.
_PROBE_SECONDS = 150.0
# Of a reload, which roles may need some seconds for.
_RELOAD_SECONDS = 60.0


def verbs_of(engine: EngineClient, run_dir: Path, runs: Callable[[str], bool]) -> Mapping[str, Verb]:
    """Return the verbs; ``runs`` tells whether a role is configured."""
    remediation = LocalClient(run_dir, ROLE)
    verbs: list[Verb] = [
        ByRemediation(name.value, remediation, lambda: runs(ROLE)) for name in BY_REMEDIATION
    ]
    verbs += [
        Inspect(engine),
        Logs(engine),
        Probe(LocalClient(run_dir, ROLE, _PROBE_SECONDS), lambda: runs(ROLE)),
    ]
    verbs += [Reload(LocalClient(run_dir, SUPERVISOR, _RELOAD_SECONDS)), UpgradeCheck(engine)]
    return {verb.name: verb for verb in verbs}
