"""The verbs there are, by name: the list of them is the list of what can be done to this host."""

from __future__ import annotations

from compose_agent.dockerd.verbs.contract import Verb
from compose_agent.dockerd.verbs.exec import Exec
from compose_agent.dockerd.verbs.kill import Kill
from compose_agent.dockerd.verbs.network import NetworkConnect, NetworkDisconnect
from compose_agent.dockerd.verbs.pause import Pause
from compose_agent.dockerd.verbs.recreate import Recreate
from compose_agent.dockerd.verbs.restart import Restart
from compose_agent.dockerd.verbs.start import Start
from compose_agent.dockerd.verbs.stop import Stop
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

VERBS: dict[str, Verb] = {verb.name: verb for verb in _CONTAINERS}
