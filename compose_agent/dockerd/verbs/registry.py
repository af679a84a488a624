"""The verbs there are, by name: the list of them is the list of what can be done to this host."""

from __future__ import annotations

from compose_agent.dockerd.verbs.compose.cli import ComposeCli
from compose_agent.dockerd.verbs.compose.scale import ComposeScale
from compose_agent.dockerd.verbs.contract import Verb
from compose_agent.dockerd.verbs.exec import Exec
from compose_agent.dockerd.verbs.kill import Kill
from compose_agent.dockerd.verbs.network import NetworkConnect, NetworkDisconnect
from compose_agent.dockerd.verbs.pause import Pause
from compose_agent.dockerd.verbs.recreate import Recreate
from compose_agent.dockerd.verbs.restart import Restart
from compose_agent.dockerd.verbs.start import Start
from compose_agent.dockerd.verbs.stop import Stop
from compose_agent.dockerd.verbs.swarm.force_update import ForceUpdate
from compose_agent.dockerd.verbs.swarm.rollback import Rollback
from compose_agent.dockerd.verbs.swarm.scale import SwarmScale
from compose_agent.dockerd.verbs.unpause import Unpause

_CONTAINERS: tuple[Verb, ...] = (
    Restart(),
    Stop(),
    Start(),
    Pause(),
    Unpause(),
    Kill(),
    Exec(),
    Recreate(),
    NetworkDisconnect(),
    NetworkConnect(),
)
_SERVICES: tuple[Verb, ...] = (ComposeScale(), SwarmScale(), ForceUpdate(), Rollback())

VERBS: dict[str, Verb] = {verb.name: verb for verb in (*_CONTAINERS, *_SERVICES)}


def verbs_beside_files(cli: ComposeCli | None = None) -> dict[str, Verb]:
    """Return the verbs for an actor on the machine of the projects' files: it may scale through Compose, too.

    A broker has no business with those files, and takes :data:`VERBS`.
    """
    return VERBS | {ComposeScale.name: ComposeScale(cli or ComposeCli())}
