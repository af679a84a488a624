"""Takes commands: each id once, whatever ends this process and whoever asks again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs
from wsgiref.types import WSGIEnvironment

import msgspec

from compose_agent.errors import StateError
from compose_agent.failpoints import failpoint
from compose_agent.typed import from_json
from compose_agent.web.response import Response, body_of
from remediation.commands.asked import (
    FREEZE,
    THAW,
    Asked,
    Stage,
    Standing,
    arguments_of,
    standing_of,
    target_of,
)
from remediation.commands.policies import policy_name
from remediation.journal import Journal, Tx, View
from remediation.model import LIVE, Episode, Intent, Source, Target
from remediation.operations import NotPossible, freeze, thaw
from remediation.planner import new_id

if TYPE_CHECKING:
    from compose_agent.web.response import RouteTable

PATH = "/v1/commands"
# By these flags the journal knows which freezes and thaws were done already; more are never asked about.
_DONE_FLAG = "command:"
_MOST_DONE = 200


class Busy(NotPossible):
    """Another command of the same kind on the same target is under way; ask again."""


@dataclass(frozen=True, slots=True)
class Door:
    """Writes commands into the journal, from where the engine takes them.

    ``wake`` has the engine look at once; ``now`` is in Unix seconds.
    """

    journal: Journal
    wake: Callable[[], None]
    now: Callable[[], float] = time.time

    def take(self, asked: Asked) -> Standing:
        """Have a command on disk, and return how it stands; one that is known already is not taken again.

        Raises Busy, StateError, and ValueError for what cannot be carried out.
        """
        work = self._set if asked.action in (FREEZE, THAW) else self._plan
        failpoint("commands.before-take")
        standing = self.journal.write(lambda tx: work(tx, asked))
        failpoint("commands.after-take")
        self.wake()
        return standing

    def standing(self, command_id: str) -> Standing | None:
        """Return how a command stands, None for one that never came."""
        return self.journal.read(lambda view: known(view, command_id))

    def _plan(self, tx: Tx, asked: Asked) -> Standing:
        if (found := known(tx, asked.id)) is not None:
            return found
        target, arguments = target_of(asked), arguments_of(asked)
        if asked.begin_by.is_past():
            return Standing(stage=Stage.EXPIRED, detail="it came when its deadline had passed")
        policy = policy_name(asked.action, target.kind)
        self._make_way(tx, policy, target)
        episode = self._episode(asked, policy, target)
        intent = Intent(
            id=new_id(),
            episode=episode.id,
            policy=policy,
            target=target,
            action=asked.action,
            arguments=dict(arguments),
            dry_run=asked.dry_run,
            begin_by=asked.begin_by,
            created_at=self.now(),
            not_before=self.now(),
        )
        tx.put_episode(episode)
        tx.put_intent(intent)
        _audit(tx, asked, episode, intent)
        return standing_of(intent)

    def _make_way(self, tx: Tx, policy: str, target: Target) -> None:
        """Close the episode of an earlier command, as a policy and a target have one at a time."""
        if (before := tx.open_episode(policy, target)) is None:
            return
        last = next(iter(tx.intents_of(before.id)), None)
        if last is not None and last.state in LIVE:
            raise Busy(f"another command on {target.name} is under way")
        tx.put_episode(msgspec.structs.replace(before, closed_at=self.now(), close_reason="resolved"))

    def _episode(self, asked: Asked, policy: str, target: Target) -> Episode:
        now = self.now()
        return Episode(
            id=new_id(),
            policy=policy,
            target=target,
            fingerprint=_fingerprint(asked.id),
            alert=f"command {asked.action}",
            starts_at=now,
            opened_at=now,
            last_signal_at=now,
            received_at=now,
            resolved_at=now,  # it ends with its only action
            labels={"by": asked.by, "command": asked.id},
            traceparent=asked.traceparent,
        )

    def _set(self, tx: Tx, asked: Asked) -> Standing:
        if (found := known(tx, asked.id)) is not None:
            return found
        if asked.begin_by.is_past():
            return Standing(stage=Stage.EXPIRED, detail="it came when its deadline had passed")
        standing = self._frozen_or_thawed(tx, asked)
        tx.set_flag(f"{_DONE_FLAG}{asked.id}", msgspec.json.encode(standing).decode())
        # Ids begin with the time at which they were made, so the first are the oldest.
        for name in sorted(tx.flags(_DONE_FLAG))[:-_MOST_DONE]:
            tx.set_flag(name, None)
        return standing

    def _frozen_or_thawed(self, tx: Tx, asked: Asked) -> Standing:
        if asked.dry_run:
            return Standing(stage=Stage.DONE, detail=f"this is a dry run: it would {asked.action}")
        if asked.action == FREEZE:
            return Standing(stage=Stage.DONE, detail=freeze(tx, self.now(), asked.by, asked.why))
        try:
            thaw(tx, self.now(), asked.by, asked.why)
        except NotPossible as error:
            return Standing(stage=Stage.REFUSED, detail=error.message)
        return Standing(stage=Stage.DONE, detail="it goes on")


def known(view: View, command_id: str) -> Standing | None:
    """Return how a command stands, as far as the journal knows it."""
    for episode in view.episodes_about({_fingerprint(command_id)}, 1):
        for intent in view.intents_of(episode.id):
            return standing_of(intent)
    said = view.flag(f"{_DONE_FLAG}{command_id}")
    return from_json(said, Standing) if said else None


def command_routes(door: Door) -> RouteTable:
    """Return the routes for the local socket: nobody is asked there who they are."""

    def take(environ: WSGIEnvironment) -> Response:
        try:
            asked = from_json(body_of(environ), Asked)
            return _json(200, door.take(asked))
        except Busy as error:
            return _json(409, {"error": error.message})
        except StateError as error:
            return _json(503, {"error": str(error)})
        except (msgspec.DecodeError, ValueError) as error:
            return _json(400, {"error": str(error)})

    def look(environ: WSGIEnvironment) -> Response:
        command_id = parse_qs(str(environ.get("QUERY_STRING", ""))).get("id", [""])[-1]
        try:
            standing = door.standing(command_id)
        except StateError as error:
            return _json(503, {"error": str(error)})
        return _json(200, standing) if standing else _json(404, {"error": "no such command ever came"})

    return {PATH: {"POST": take, "GET": look}}


def _json(status: int, value: object) -> Response:
    return Response(status, msgspec.json.encode(value) + b"\n", "application/json")


def _fingerprint(command_id: str) -> str:
    return f"command {command_id}"


def _audit(tx: Tx, asked: Asked, episode: Episode, intent: Intent) -> None:
    tx.audit(
        "decided",
        {"episode": episode.id, "intent": intent.id, "fingerprint": episode.fingerprint},
        {
            "decision": "planned",
            "policy": intent.policy,
            "target": str(intent.target),
            "action": intent.action,
            "alert": episode.alert,
            "source": Source.COMMAND,
            "by": asked.by,
            "command": asked.id,
        },
    )
