"""The rows of ``compose-agent actions`` and of the page: intents with what led to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import msgspec

from remediation.journal import View
from remediation.model import Episode, Intent

_PAGE = 200


class ActionRow(msgspec.Struct, frozen=True, kw_only=True):
    """An intent and its alert. Times are Unix seconds, 0 for not yet."""

    id: str
    state: str
    reason: str
    detail: str
    action: str
    target: str
    policy: str
    alert: str
    fingerprint: str
    episode: str
    rung: int
    dry_run: bool
    approved_by: str
    alert_started_at: float
    created_at: float
    not_before: float
    started_at: float
    acted_at: float
    ended_at: float


@dataclass(frozen=True, slots=True)
class Filter:
    """Which actions are meant; empty means any.

    ``like`` is a part of the target's name. ``since`` is Unix seconds, of when an intent was made.
    """

    state: str = ""
    policy: str = ""
    target: str = ""
    since: float = 0.0
    like: str = ""

    def takes(self, intent: Intent) -> bool:
        """Tell whether an intent is meant; ``target`` may be a name, or a kind and a name."""
        return (
            self.state in ("", intent.state)
            and self.policy in ("", intent.policy)
            and self.target in ("", intent.target.name, str(intent.target))
            and self.like.lower() in intent.target.name.lower()
        )


def rows(view: View, wanted: Filter, limit: int, among: int | None = None) -> list[ActionRow]:
    """Return the latest actions, newest first; ``among`` bounds how many are looked at."""
    found: list[ActionRow] = []
    for intent in islice(_newest_first(view, wanted.since), among):
        if len(found) >= limit:
            break
        if wanted.takes(intent):
            found.append(row_of(intent, view.episode(intent.episode)))
    return found


def _newest_first(view: View, since: float) -> Iterator[Intent]:
    before = 0
    while page := view.latest_intents(_PAGE, before=before):
        for number, intent in page:
            if intent.created_at < since:
                return
            yield intent
            before = number


def row_of(intent: Intent, episode: Episode | None) -> ActionRow:
    """Return the row of an intent and its episode."""
    return ActionRow(
        id=intent.id,
        state=intent.state,
        reason=intent.reason,
        detail=intent.detail,
        action=intent.action,
        target=str(intent.target),
        policy=intent.policy,
        alert=episode.alert if episode else "",
        fingerprint=episode.fingerprint if episode else "",
        episode=intent.episode,
        rung=intent.rung,
        dry_run=intent.dry_run,
        approved_by=intent.approved_by,
        alert_started_at=episode.starts_at if episode else 0.0,
        created_at=intent.created_at,
        not_before=intent.not_before,
        started_at=intent.started_at,
        acted_at=intent.acted_at,
        ended_at=intent.ended_at,
    )
