"""Why something was done, or was not: from the journal to sentences.

Whoever asks names an alert, its fingerprint, a container or service, or an episode or intent by its id. There
is one account for each episode, and one for each alert that led to none.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import msgspec

from compose_agent.dockerd.overview.words import date, duration
from remediation.journal import FREEZE_FLAG, Entry, View
from remediation.model import LIVE, Episode, Intent, Reason, State
from remediation.narration import sentence
from remediation.reasons import meaning

# The latest ones; a person reads no more at once.
MOST_EPISODES = 5
_MOST_WITHOUT_EPISODE = 5
# An alert that was repeated for days still has its beginning among so many.
_MOST_ENTRIES = 2000
# A shorter wait than this is over before anybody has read of it.
_WORTH_SAYING_SECONDS = 2.0
SHORT_ID = 12


class Line(msgspec.Struct, frozen=True):
    """One sentence and its time in Unix seconds."""

    at: float
    text: str


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What happened about one episode or alert: a heading, sentences in their order, what came of it.

    ``remedy`` is what a person can do, empty when nothing needs to be done. ``actions`` are the ids of what
    was planned, the first one first.
    """

    heading: str
    lines: list[Line]
    outcome: str
    remedy: str = ""
    actions: list[str] = []


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the journal has about a word: episodes and entries oldest first, intents by episode newest first.

    ``frozen`` is the sentence that says who froze everything, empty while nobody has.
    """

    episodes: Sequence[Episode] = ()
    intents: Mapping[str, Sequence[Intent]] = field(default_factory=dict)
    entries: Sequence[Entry] = ()
    frozen: str = ""


def gather(view: View, word: str) -> Evidence:
    """Return what the journal has about an alert, its fingerprint, a target, or the id of anything."""
    words = {word}
    if intent := view.intent_like(word):
        words.add(intent.episode)
    told = [each.subjects for each in view.entries_about(words, _MOST_ENTRIES)]
    words.update(each[key] for each in told for key in ("fingerprint", "episode") if each.get(key))
    episodes = view.episodes_about(words, MOST_EPISODES)[::-1]
    words.update(word for each in episodes for word in (each.id, each.fingerprint))
    intents = {each.id: view.intents_of(each.id) for each in episodes}
    return Evidence(episodes, intents, view.entries_about(words, _MOST_ENTRIES), view.flag(FREEZE_FLAG) or "")


def explain(evidence: Evidence, policies: Container[str] | None, now: float) -> list[Account]:
    """Return the accounts, oldest first; none when nothing is known.

    ``policies`` are the names of those in force, None if nobody knows.
    """
    accounts = [_account(evidence, each, policies, now) for each in evidence.episodes]
    return [*_without_episode(evidence), *accounts]


def account_of(view: View, episode_id: str, policies: Container[str] | None, now: float) -> Account | None:
    """Return the account of one episode, None if there is none (any more)."""
    if (episode := view.episode(episode_id)) is None:
        return None
    entries = view.entries_about({episode.id, episode.fingerprint}, _MOST_ENTRIES)
    intents = {episode.id: view.intents_of(episode.id)}
    evidence = Evidence([episode], intents, entries, view.flag(FREEZE_FLAG) or "")
    return _account(evidence, episode, policies, now)


def _account(evidence: Evidence, episode: Episode, policies: Container[str] | None, now: float) -> Account:
    last = next(iter(evidence.intents.get(episode.id, ())), None)
    gone = policies is not None and episode.policy not in policies
    still = " (not in force any more)" if gone else ""
    return Account(
        heading=f"{episode.alert}: policy {episode.policy}{still}, {episode.target}",
        lines=_lines(_entries_of(evidence, episode)),
        outcome=_outcome(episode, last, now),
        remedy=_remedy(last, evidence.frozen),
        actions=[each.id for each in reversed(evidence.intents.get(episode.id, ()))],
    )


def _entries_of(evidence: Evidence, episode: Episode) -> list[Entry]:
    """Return an episode's own entries, and what was said of its alert from its cause until it was closed."""
    own = [each for each in evidence.entries if each.subjects.get("episode") == episode.id]
    about = [each for each in evidence.entries if _is_of_alert(each, episode.fingerprint)]
    first = own[0].seq if own else 0
    cause = max((each.seq for each in about if each.seq < first), default=0)
    end = episode.closed_at or float("inf")
    told = [each for each in about if each.seq >= cause and each.at <= end]
    return sorted([*own, *told], key=lambda each: each.seq)


def _is_of_alert(entry: Entry, fingerprint: str) -> bool:
    return entry.subjects.get("fingerprint") == fingerprint and "episode" not in entry.subjects


def _without_episode(evidence: Evidence) -> list[Account]:
    """Return accounts of the latest alerts about which nothing was ever planned."""
    planned = {each.fingerprint for each in evidence.episodes}
    by_fingerprint: dict[str, list[Entry]] = {}
    for each in evidence.entries:
        fingerprint = each.subjects.get("fingerprint", "")
        if fingerprint and fingerprint not in planned:
            by_fingerprint.setdefault(fingerprint, []).append(each)
    latest = sorted(by_fingerprint.items(), key=lambda item: item[1][-1].seq)[-_MOST_WITHOUT_EPISODE:]
    return [_unplanned(*item) for item in latest]


def _unplanned(fingerprint: str, entries: Sequence[Entry]) -> Account:
    alert = next((name for each in entries if (name := each.subjects.get("alert"))), "an alert")
    decided = next((each for each in reversed(entries) if each.kind == "decided"), None)
    why = meaning(str(decided.fields.get("decision"))) if decided else None
    return Account(
        heading=f"{alert} ({fingerprint})",
        lines=_lines(entries),
        outcome=f"Nothing was done, because {why.words}." if why else "Nothing is decided about it yet.",
        remedy=why.remedy if why else "",
    )


def _lines(entries: Iterable[Entry]) -> list[Line]:
    """Return a sentence for each entry; what is only said again is counted."""
    lines: list[Line] = []
    for text, group in groupby(entries, key=sentence):
        first, *again = group
        lines.append(Line(first.at, text))
        if again:
            times = "once more" if len(again) == 1 else f"{len(again)} times more"
            lines.append(Line(again[-1].at, f"The same was said {times} until now."))
    return lines


def _outcome(episode: Episode, last: Intent | None, now: float) -> str:
    if last is None:
        return "Nothing is planned."
    if last.state is State.PLANNED:
        return _waiting(last, now)
    if last.state is State.SUPPRESSED:
        # The line before has the details already.
        return f"Nothing was done, because {meaning(last.reason).words}."
    said = {
        State.EXECUTING: f"has been under way for {duration(max(0.0, now - last.started_at))}.",
        State.VERIFYING: "was done; whether it helped is not known yet.",
        State.DONE: f"helped: {last.detail}.",
    }
    still = "" if episode.closed_at else " Nothing more is tried while the alert stays as it is."
    words = said.get(last.state, f"did not help: {last.detail}.{still}")
    return f"The {last.action} of {last.target} {words}"


def _waiting(intent: Intent, now: float) -> str:
    what = f"The {intent.action} of {intent.target} waits"
    if not intent.reason:
        return f"{what} for its turn."
    later = intent.not_before > now + _WORTH_SAYING_SECONDS
    until = f", and is looked at again at {date(intent.not_before)}" if later else ""
    return f"{what}, because {meaning(intent.reason).words}: {intent.detail}{until}."


def _remedy(last: Intent | None, frozen: str) -> str:
    if last is None:
        return ""
    if last.state in LIVE and frozen:
        return meaning(Reason.FROZEN).remedy
    if last.state is State.FAILED:
        return "look for the cause in the log of the container, and mend it by hand"
    if last.state is State.PLANNED and last.reason == Reason.APPROVAL:
        short = last.id[:SHORT_ID]
        return f"say 'compose-agent approve {short}', or 'compose-agent deny {short}'"
    return meaning(last.reason).remedy if last.reason else ""
