"""What is sent, with the values of labels filled in, as the arguments of a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compose_agent.dockerd.verbs.model import Result
from remediation.model import Intent
from remediation.policies.template import render_json, render_text

# A label's value is told of up to here; whoever sends alerts could fill the disk otherwise.
_MOST_CHARACTERS = 4096


# The result of a step that was done as it should be, and after which the next one is asked for.
NO_HELP = "no help"


@dataclass(frozen=True, slots=True)
class Occasion:
    """What texts speak of: labels of the signal, the time (Unix seconds), and the step before, if any."""

    labels: Mapping[str, str]
    at: float
    before: Intent | None = None


NO_OCCASION = Occasion({}, 0.0)


def rendered(intent: Intent, occasion: Occasion) -> dict[str, Any]:
    """Return the arguments of the request for an intent of one of the calls; values can be written as JSON.

    To those of the policy, ``notify`` adds ``at`` and ``labels``: policy and target, and action and result of
    what was done before it in the episode, if anything was.
    """
    arguments = dict(intent.arguments)
    labels = {name: value[:_MOST_CHARACTERS] for name, value in occasion.labels.items()}
    if intent.action == "http":
        body = arguments.get("body")
        return {**arguments, "body": render_json(body, labels)} if body else arguments
    text = arguments.get("text") or _default_text(intent)
    return {
        **arguments,
        "text": render_text(text, labels),
        "at": occasion.at,
        "labels": {
            "policy": intent.policy,
            "target": str(intent.target),
            **(_what_was_done(occasion.before) if occasion.before else {}),
        },
    }


def _what_was_done(before: Intent) -> dict[str, str]:
    outcomes = before.facts.get("outcomes") or [{}]
    result = str(outcomes[-1].get("result", ""))
    return {"action": before.action, "result": result if result not in ("", Result.DONE) else NO_HELP}


def _default_text(intent: Intent) -> str:
    return f"${{alertname}} on {_plain(intent.target.name)} (policy {_plain(intent.policy)})"


def _plain(text: str) -> str:
    """Return a text as a template has it that says just this."""
    return text.replace("$", "$$")
