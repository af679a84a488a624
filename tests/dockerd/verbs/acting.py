"""An actor on a fake Engine, for the tests of the actor and its verbs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.fake import FakeEngine
from compose_agent.dockerd.verbs.actor import LocalActor
from compose_agent.dockerd.verbs.budget import Budget, Limits
from compose_agent.dockerd.verbs.journal import Journal
from compose_agent.dockerd.verbs.model import VerbRequest
from compose_agent.dockerd.verbs.optin import LABEL, OptIn
from compose_agent.dockerd.verbs.pursuit import Patience
from compose_agent.dockerd.verbs.registry import VERBS

OPTED_IN = {LABEL: "restart"}
# Long enough for a request on its way inside one machine, short enough for a test.
QUICK = Patience(settle=0.3, first_pause=0.02, last_pause=0.05, away=1.0)
MANY = Limits(per_target=1000, per_host=1000)


@contextmanager
def acting(
    url: str, folder: Path, *, limits: Limits = MANY, patience: Patience = QUICK, timeout: float = 2.0
) -> Iterator[LocalActor]:
    """Yield an actor that begins where the one before it on the same folder has ended."""
    client = EngineClient(Endpoint(url, "test"), timeout=timeout)
    journal = Journal(folder)
    actor = LocalActor(client, journal, VERBS, OptIn(), Budget(limits), patience=patience)
    try:
        yield actor
    finally:
        actor.close()
        client.close()
        journal.close()


def asked(verb: str, target: str, *, id: str = "one", **arguments: Any) -> VerbRequest:
    """Return a request."""
    return VerbRequest(id=id, verb=verb, target=target, arguments=arguments)


def actions(engine: FakeEngine, container: str) -> list[str]:
    """Return everything that the Engine has told of a container."""
    events = engine.core.events.since(1, None)
    return [event.action for event in events if event.actor == container]


def cycles(engine: FakeEngine, container: str) -> int:
    """Return how often a container has died and was started again."""
    told = [action for action in actions(engine, container) if action in ("die", "start")]
    return sum(pair == ("die", "start") for pair in itertools.pairwise(told))
