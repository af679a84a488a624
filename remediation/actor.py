"""Who carries actions out: this process, or the broker behind its socket; and who calls others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.declared import Declared
from compose_agent.dockerd.verbs.actor import LocalActor
from compose_agent.dockerd.verbs.budget import Unbounded
from compose_agent.dockerd.verbs.contract import Actor
from compose_agent.dockerd.verbs.journal import Journal
from compose_agent.dockerd.verbs.model import Outcome, Standing, VerbRequest
from compose_agent.dockerd.verbs.optin import OptIn
from compose_agent.dockerd.verbs.registry import verbs_beside_files
from compose_agent.dockerd.verbs.remote import RemoteActor
from remediation.active import Active
from remediation.alertmanager import Alertmanager
from remediation.calls.caller import Caller
from remediation.calls.http import Http
from remediation.calls.notify import Notify


@dataclass(frozen=True, slots=True)
class Hands:
    """An actor with its ends: ``let_go`` of whoever waits for an outcome, ``close`` when nobody does."""

    actor: Actor
    let_go: Callable[[], None]
    close: Callable[[], None]


class ByVerb:
    """An Actor that gives each request to whoever has its verb, and all others to ``rest``."""

    def __init__(self, actors: Mapping[str, Actor], rest: Actor) -> None:
        self._actors = actors
        self._rest = rest

    def perform(self, request: VerbRequest) -> Outcome:
        """Have it done and wait for the outcome; raises ActorUnavailable."""
        return self._actors.get(request.verb, self._rest).perform(request)

    def standing(self, request_id: str) -> Standing:
        """Return what the one who keeps a journal knows of an id; raises ActorUnavailable."""
        return self._rest.standing(request_id)


class _Allowed:
    """The globs of names that policies in force allow to be acted on without a label."""

    def __init__(self, active: Active) -> None:
        self._active = active

    def __iter__(self) -> Iterator[str]:
        return iter(self._active.policies.allowed)


def own_hands(client: EngineClient, state_dir: Path, active: Active, declared: Declared) -> Hands:
    """Return an actor in this process; raises StateError and InstanceRunning."""
    journal = Journal(state_dir)
    opt_in = OptIn(_Allowed(active), declared)
    actor = LocalActor(client, journal, verbs_beside_files(), opt_in, Unbounded())
    return Hands(actor, actor.close, journal.close)


def broker_hands(path: Path) -> Hands:
    """Return the broker at its ``act.sock``, which looks after what was begun without us."""
    return Hands(RemoteActor(path), _nothing, _nothing)


def calling_hands(hands: Hands, alertmanager: Callable[[], Alertmanager | None]) -> Hands:
    """Return hands that call others as well; ``alertmanager`` gives the one that is configured."""
    calls = (Http(), Notify(alertmanager))
    caller = Caller({call.name: call for call in calls})
    actor = ByVerb(dict.fromkeys((call.name for call in calls), caller), hands.actor)

    def let_go() -> None:
        caller.close()
        hands.let_go()

    return Hands(actor, let_go, hands.close)


def _nothing() -> None:
    pass
