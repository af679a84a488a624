"""The contracts between who wants an action, who performs it, and the verbs themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.verbs.model import Outcome, Standing, VerbRequest
from compose_agent.errors import ComposeAgentError

# What a verb saw before it called the Engine, as JSON: on disk before the call, judged by after a crash.
Facts = Mapping[str, Any]


class ActorUnavailable(ComposeAgentError):
    """The actor could not be asked, or could not write down what it was about to do.

    Whether anything was done is not known: ask again with the same id.
    """


class Refused(ComposeAgentError):
    """A verb will not do this to this target; nothing was done. The message is the reason."""


class Actor(Protocol):
    """Does what is asked, once for each id: in this process, or a broker behind a socket. Thread-safe."""

    def perform(self, request: VerbRequest) -> Outcome:
        """Do it and wait for the outcome; raises ActorUnavailable.

        An id that has ended is answered from the journal, one that was begun (before a crash) is first looked
        after in the world: it is gone on with, waited for, or done, but never done twice.
        """

    def standing(self, request_id: str) -> Standing:
        """Return what is known of an id, without doing anything; raises ActorUnavailable."""


@dataclass(frozen=True, slots=True)
class Done:
    """The world is as the verb was to make it."""

    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """It was tried and is not so."""

    reason: str


@dataclass(frozen=True, slots=True)
class InProgress:
    """The Engine is at it; look again."""


@dataclass(frozen=True, slots=True)
class NeverSent:
    """Nothing of it was begun, so it may be sent (again)."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Some of its steps are done and none is under way: ``call`` goes on with the rest."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """What can be seen does not tell; it must not be sent again."""

    reason: str


Observation = Done | Failed | InProgress | NeverSent | Unfinished | Unknown


class Verb(Protocol):
    """One thing that can be done. Stateless; every method may raise EngineError."""

    name: str
    # The word that a container's label must have for it: ``restart`` or ``scale``.
    action: str

    def prepare(self, client: EngineClient, request: VerbRequest) -> Facts:
        """Look at the target and decide; raises Refused. Changes nothing that anybody would notice.

        The facts hold what ``observe`` compares with, ``name``, which budgets go by, and for the opt-in
        ``labels``, which are not kept.
        """

    def call(self, client: EngineClient, request: VerbRequest, facts: Facts) -> None:
        """Have the Engine do it. An EngineRefused is an answer; after any other error nothing is known.

        It may be called again when ``observe`` says that it was never sent, or is unfinished.
        """

    def observe(self, client: EngineClient, request: VerbRequest, facts: Facts) -> Observation:
        """Find out from the Engine what became of it, after a call or a crash. Changes nothing."""
