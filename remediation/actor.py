"""Who carries actions out: the broker behind its socket, or this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.verbs.actor import LocalActor
from compose_agent.dockerd.verbs.budget import Budget, Limits
from compose_agent.dockerd.verbs.compose.cli import ComposeCli
from compose_agent.dockerd.verbs.compose.scale import ComposeScale
from compose_agent.dockerd.verbs.contract import Actor
from compose_agent.dockerd.verbs.journal import Journal
from compose_agent.dockerd.verbs.optin import OptIn
from compose_agent.dockerd.verbs.registry import VERBS
from remediation.active import Active


@dataclass(frozen=True, slots=True)
class Hands:
    """An actor with its ends: ``let_go`` of whoever waits for an outcome, ``close`` when nobody does."""

    actor: Actor
    let_go: Callable[[], None]
    close: Callable[[], None]


class _Allowed:
    """The globs of names that policies in force allow to be acted on without a label."""

    def __init__(self, active: Active) -> None:
        self._active = active

    def __iter__(self) -> Iterator[str]:
        return iter(self._active.policies.allowed)


def own_hands(client: EngineClient, state_dir: Path, active: Active) -> Hands:
    """Return an actor in this process; raises StateError and InstanceRunning."""
    journal = Journal(state_dir)
    verbs = {**VERBS, ComposeScale.name: ComposeScale(ComposeCli())}
    actor = LocalActor(client, journal, verbs, OptIn(_Allowed(active)), Budget(Limits()))
    return Hands(actor, actor.close, journal.close)
