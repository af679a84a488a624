"""What each reason means, as half a sentence for a person, and what that person can do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from remediation.model import Reason


@dataclass(frozen=True, slots=True)
class Meaning:
    """``words`` go on after "because"; ``remedy`` is empty where nothing needs to be done."""

    words: str
    remedy: str = ""


MEANINGS: Mapping[Reason, Meaning] = {
    Reason.NO_POLICY: Meaning(
        "no policy matches the alert's labels",
        "write a policy that matches them, and try it with 'compose-agent check'",
    ),
    Reason.NO_TARGET: Meaning(
        "there is no target to act on",
        "compare the alert's labels with what the policy's target is taken from, and with 'compose-agent "
        "status'",
    ),
    Reason.NOT_ALLOWED: Meaning(
        "the policy may not touch this target", "let the policy's target allow it, if it should"
    ),
    Reason.NOT_OPTED_IN: Meaning(
        "the target has not opted in",
        "label it compose-agent.remediate=restart or =scale, or allow it in the policy's target",
    ),
    Reason.DUPLICATE: Meaning("what can be done about this alert is under way, or was done"),
    Reason.RESOLVED: Meaning("the alert resolved before anything was begun"),
    Reason.STALE: Meaning("the alert had resolved already when this came"),
    Reason.RECOVERED: Meaning("the target is well again"),
    Reason.DRY_RUN: Meaning(
        "this is a dry run", "turn dry-run off, in the policy or for all, when you trust what it decides"
    ),
    Reason.FROZEN: Meaning("all remediation is frozen", "let it go on with 'compose-agent thaw'"),
    Reason.EXPIRED: Meaning(
        "its deadline has passed", "give the command again, with more time; what it waited for is said here"
    ),
    Reason.BUDGET: Meaning(
        "a budget is spent",
        "find out why so much is to be done; a budget refills with time, or can be made larger",
    ),
    Reason.REPLICAS: Meaning(
        "too few replicas of the service would be left",
        "it goes on when the others are well; look after those that are not",
    ),
    Reason.BACKOFF: Meaning(
        "something was done a short while ago, and pauses grow",
        "look for the cause in the container's log: the actions before this one did not last",
    ),
    Reason.BREAKER: Meaning(
        "several actions in a row did not help",
        "look for the cause in the container's log; one trial is made after the breaker's pause",
    ),
    Reason.WINDOW: Meaning("this is a maintenance window of the policy", "it goes on when the window ends"),
    Reason.SILENCED: Meaning(
        "the alert is silenced in Alertmanager", "end the silence there if it is not meant"
    ),
    Reason.DEPLOYMENT: Meaning(
        "its project is being deployed", "it goes on when the project has been quiet for a while"
    ),
    Reason.MANUAL_STOP: Meaning("somebody stopped it by hand", "start it by hand when it is to run again"),
    Reason.ENGINE_AWAY: Meaning(
        "the Docker Engine cannot be asked", "see 'compose-agent health', and the Engine's own log"
    ),
    Reason.APPROVAL: Meaning(
        "the policy wants a person's approval", "say 'compose-agent approve ID', or 'compose-agent deny ID'"
    ),
    Reason.DENIED: Meaning("a person denied it"),
    Reason.REFUSED: Meaning("it cannot be done right to this target", "see what the refusal says"),
    Reason.NO_CHANGE: Meaning("everything is already as the action would make it"),
    Reason.FAULT: Meaning(
        "this program has a fault", "look after the target yourself, and report what the program's log says"
    ),
}


def meaning(reason: str) -> Meaning:
    """Return what a reason means; one of another version of the program stands for itself."""
    try:
        return MEANINGS[Reason(reason)]
    except ValueError:
        return Meaning(reason)
