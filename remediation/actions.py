"""The actions that policies can ask for, in one registry: what they take, and on what.

What touches the Engine is done by a verb in ``compose_agent/dockerd/verbs``; ``opt_in`` is the word that the
target's label ``compose-agent.remediate`` must have for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from compose_agent.config import Option, kinds
from remediation.arguments import (
    ANSWER_WITHIN,
    LEAST_WORD,
    MOST_WORD,
    SCALING,
    SECRET,
    STOP_TIMEOUT,
    STOPPING,
    THROUGH,
    name,
    signal_name,
    url,
)
from remediation.model import TargetKind
from remediation.policies.template import json_template, text_template

CONTAINER, SERVICE, SWARM = TargetKind.CONTAINER, TargetKind.SERVICE, TargetKind.SWARM_SERVICE
GROUP = TargetKind.GROUP
# What is done to a service is done to its containers, one after the other.
CONTAINERS = (CONTAINER, SERVICE)
ANY = (CONTAINER, SERVICE, SWARM, GROUP)
FAILOVER = "failover"
# After these a container has another network namespace, and those that lived in its old one are cut off.
RENEW_NETWORK = ("restart", "recreate", "start")
RESTART, SCALE, NOTHING = "restart", "scale", ""
Arguments = Mapping[str, Any]


def _no_objection(_: Arguments) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Action:
    """One action; ``keys`` are its arguments, values of which can be written as JSON.

    ``against`` returns what is wrong with arguments together, or nothing.
    """

    name: str
    help: str
    targets: tuple[TargetKind, ...]
    opt_in: str
    keys: tuple[Option, ...] = ()
    required: tuple[str, ...] = ()
    against: Callable[[Arguments], str] = _no_objection


def _against_scaling(arguments: Arguments) -> str:
    given = [key for key in ("to", "by") if arguments.get(key) is not None]
    if len(given) != 1:
        return (
            "expected either to or by" if given else "expected to, a number of replicas, or by, a difference"
        )
    least, most = arguments[LEAST_WORD], arguments[MOST_WORD]
    if least > most:
        return f"min {least} is more than max {most}"
    to = arguments.get("to")
    if isinstance(to, int) and not least <= to <= most:
        return f"to {to} is not within min {least} and max {most}"
    return ""


def _against_notice(arguments: Arguments) -> str:
    raises = arguments.get("through") == "alertmanager"
    for key in ("url", "header-file"):
        if raises and arguments.get(key):
            return f"alertmanager is the one of the option remediation.alertmanager.url: leave out {key}"
    if not raises and not arguments.get("url"):
        return "expected url, where the notice goes"
    return ""


ACTIONS: Mapping[str, Action] = {
    action.name: action
    for action in (
        Action("restart", "Restart the container.", CONTAINERS, RESTART, STOPPING),
        Action("stop", "Stop the container.", CONTAINERS, RESTART, STOPPING),
        Action("start", "Start the container.", CONTAINERS, RESTART),
        Action("pause", "Freeze the container's processes.", CONTAINERS, RESTART),
        Action("unpause", "Let the container's processes go on.", CONTAINERS, RESTART),
        Action(
            "recreate",
            "Put a new container of the same configuration and name in the container's place.",
            CONTAINERS,
            RESTART,
            (STOP_TIMEOUT,),
        ),
        Action(
            "kill",
            "Send a signal to the container's main process.",
            CONTAINERS,
            RESTART,
            (Option("signal", signal_name, "SIGKILL", "Which one."),),
        ),
        Action(
            "exec",
            "Run the command that the container's label `compose-agent.exec.NAME` has, in the container.",
            CONTAINERS,
            RESTART,
            (
                Option("name", name, None, "The NAME of the label."),
                Option("timeout", kinds.positive_duration, "1m", "How long the command may take."),
            ),
            required=("name",),
        ),
        Action(
            "scale",
            "Give a Compose service more or fewer replicas.",
            (SERVICE,),
            SCALE,
            (*SCALING, THROUGH),
            against=_against_scaling,
        ),
        Action(
            "swarm-scale",
            "Give a Swarm service more or fewer replicas.",
            (SWARM,),
            SCALE,
            SCALING,
            against=_against_scaling,
        ),
        Action(
            "swarm-update",
            "Have Swarm replace all tasks of the service, in the way that the service is configured for.",
            (SWARM,),
            RESTART,
        ),
        Action(
            "swarm-rollback",
            "Take the service back to what it was before its last update.",
            (SWARM,),
            RESTART,
        ),
        Action(
            FAILOVER,
            "Have the standby of a fail-over group take over. Of a group: if it is due by the health of its "
            "members. Of a container or service: also if not, from the one that has the place now.",
            (*CONTAINERS, GROUP),
            RESTART,
        ),
        Action(
            "http",
            "Call an HTTP server; an answer of 2xx is a success.",
            ANY,
            NOTHING,
            (
                Option("url", url, None, "Whom to call."),
                Option("method", kinds.choice("POST", "PUT", "PATCH", "DELETE", "GET"), "POST", "How."),
                Option(
                    "body",
                    json_template,
                    None,
                    "What is sent; `${LABEL}` is the value of the signal's label.",
                ),
                *SECRET,
                ANSWER_WITHIN,
            ),
            required=("url",),
        ),
        Action(
            "notify",
            "Tell people: by a webhook, an alert raised at Alertmanager, or an annotation in Grafana.",
            ANY,
            NOTHING,
            (
                Option(
                    "through", kinds.choice("webhook", "alertmanager", "grafana"), None, "By which of these."
                ),
                Option("url", url, None, "The webhook, or Grafana."),
                Option(
                    "text", text_template, None, "What to say; `${LABEL}` is the value of the signal's label."
                ),
                *SECRET,
                ANSWER_WITHIN,
            ),
            required=("through",),
            against=_against_notice,
        ),
    )
}


def opt_in_word(name: str) -> str:
    """Return the word that a target's label must have for an action, empty if none is needed."""
    return ACTIONS[name].opt_in
