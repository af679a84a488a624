"""What each kind of entry of the audit says, as a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from compose_agent.dockerd.overview.words import date
from remediation.journal import Entry
from remediation.reasons import meaning

# What the actor answers, and how that is said.
_RESULTS = {
    "done": "it was done",
    "failed": "it failed",
    "refused": "it was refused",
    "unknown": "nobody can tell whether it was done, so it is not done again",
}


def sentence(entry: Entry) -> str:
    """Return what an entry says; a kind or decision of another version is said with its own words."""
    say = _KINDS.get(entry.kind)
    return say(entry) if say else f"{entry.kind}: {_rest(entry.fields)}"


def _received(entry: Entry) -> str:
    name = entry.subjects.get("alert", "an alert")
    source = entry.fields.get("source", "")
    if not entry.fields.get("firing"):
        return f"{name} resolved ({source})."
    return f"{name} fires since {date(float(entry.fields.get('starts_at', 0.0)))} ({source})."


def _decided(entry: Entry) -> str:
    fields = entry.fields
    decision = str(fields.get("decision", ""))
    detail = f": {fields['detail']}" if fields.get("detail") else ""
    if decision == "planned":
        return f"Policy {fields.get('policy')} plans a {fields.get('action')} of {fields.get('target')}."
    if decision == "waits":
        return f"It has to wait, because {meaning(str(fields.get('reason'))).words}{detail}."
    if decision == "acts":
        return f"Every rule and budget lets it go: the {fields.get('action')} begins."
    whose = "" if "episode" in entry.subjects or "policy" not in fields else f" by policy {fields['policy']}"
    return f"Nothing is done{whose}, because {meaning(decision).words}{detail}."


def _acted(entry: Entry) -> str:
    fields = entry.fields
    result = _RESULTS.get(str(fields.get("result")), str(fields.get("result")))
    detail = f": {fields['detail']}" if fields.get("detail") else ""
    return f"The {fields.get('action')} of {fields.get('target')}: {result}{detail}."


def _verified(entry: Entry) -> str:
    fields = entry.fields
    if fields.get("helped"):
        return f"It helped: {fields.get('detail')}."
    following = fields.get("next")
    return f"It did not help: {fields.get('detail')}. {f'Next is {following}.' if following else 'Given up.'}"


def _by(words: str) -> Callable[[Entry], str]:
    """Return what says who did something, and why if they said so."""

    def say(entry: Entry) -> str:
        why = f": {entry.fields['why']}" if entry.fields.get("why") else ""
        return f"{words} by {entry.fields.get('by', 'somebody')}{why}."

    return say


def _cut(entry: Entry) -> str:
    return f"The audit was cut up to entry {entry.fields.get('through')}, because it is old."


def _rest(fields: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in fields.items())


_KINDS: Mapping[str, Callable[[Entry], str]] = {
    "received": _received,
    "decided": _decided,
    "acted": _acted,
    "verified": _verified,
    "frozen": _by("All remediation was frozen"),
    "thawed": _by("Remediation was thawed"),
    "approved": _by("It was approved"),
    "denied": _by("It was denied"),
    "cut": _cut,
}
