"""What every span and attribute of ours means: the source of docs/tracing-reference.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from compose_agent.tracing import attributes as names
from compose_agent.tracing.holding import DAMAGED, FULL, ROTATED
from compose_agent.tracing.spool import INVALID, TOO_LARGE, UNWRITABLE

_CONVENTION, _OURS = "OpenTelemetry", "compose-agent"


@dataclass(frozen=True, slots=True)
class SpanKind:
    """A span by its name: what it covers, of which kind it is, and below which it stands."""

    name: str
    kind: str
    parent: str
    meaning: str


SPANS = (
    SpanKind(
        "`POST /webhook`", "server", "Alertmanager's", "From the request to its answer: signals on disk."
    ),
    SpanKind("`POST /v1/triggers`", "server", "the sender's", "The same for a trigger of this host."),
    SpanKind(
        "`remediate POLICY`",
        "internal",
        "none",
        "One action, from its plan to its end. Its trace has the action's id. Linked to the webhook, and to "
        "the action before.",
    ),
    SpanKind(
        "`decide`", "internal", "`remediate`", "From the plan until it may go, or never; each wait an event."
    ),
    SpanKind("`commit`", "internal", "`remediate`", "From the decision until it is on disk and begins."),
    SpanKind(
        "`execute VERB`",
        "internal",
        "`remediate`",
        "One attempt at one request of the action; linked to the attempt before.",
    ),
    SpanKind("`POST /v1/verbs`", "server", "`execute`", "The broker's part, where there is one."),
    SpanKind(
        "`engine CALL`",
        "client",
        "`execute`, `POST /v1/verbs`",
        "One call of the Engine within an action. dockerd's own spans stand below it, if it traces.",
    ),
    SpanKind(
        "`verify`", "internal", "`remediate`", "From the action until it helped or did not; looks are events."
    ),
    SpanKind("`escalate`", "internal", "`remediate`", "That another action follows, to which it is linked."),
    SpanKind("`config reload`", "internal", "the sender's", "A role takes a new configuration."),
    SpanKind(
        "`deliver SINK`",
        "producer",
        "none",
        "From reading a batch of log lines to the sink's confirmation, for the share that is sampled; linked "
        "to the traces of its lines.",
    ),
    SpanKind(
        "`dead letter SINK`", "internal", "none", "A line that the sink never takes; one in ten seconds."
    ),
)

_MEANINGS = {
    names.CONTAINER_ID: "The container's id, 64 digits.",
    names.CONTAINER_NAME: "The container's name.",
    names.COMPOSE_PROJECT: "The Compose project.",
    names.COMPOSE_SERVICE: "The Compose service.",
    names.ERROR_TYPE: "What went wrong, as a word; `interrupted`: the process ended before the span did.",
    names.HTTP_METHOD: "The method of a request.",
    names.HTTP_ROUTE: "What it was routed by.",
    names.HTTP_STATUS: "The status that was answered.",
    names.URL_PATH: "The path that was asked for.",
    names.SERVER_ADDRESS: "Who was asked: a host, or the Engine's address.",
    names.NETWORK_TRANSPORT: "`unix` for the Engine's socket.",
    names.ALERT_NAME: "The alert's name.",
    names.ALERT_FINGERPRINT: "The alert's fingerprint, as Alertmanager has it.",
    names.ACTION: "What is done: `restart`, `scale`, …",
    names.APPROVED_BY: "Who approved it.",
    names.AGAIN: "Whether an earlier attempt may have stored some of the lines.",
    names.ATTEMPT: "Which attempt at the request, from 1, since the role was started.",
    names.CONFIG_REVISION: "The number of the configuration.",
    names.DECISION: "`act` or `suppress`.",
    names.DETAIL: "A sentence.",
    names.DRY_RUN: "True if it was only to be told.",
    names.ENGINE_CALL: "What the Engine was asked for.",
    names.EPISODE: "The episode's id.",
    names.HELPED: "Whether the action helped.",
    names.INTENT: "The action's id, as `compose-agent actions` has it.",
    names.LINES: "How many lines a batch has.",
    names.LINK: "What a link leads to: `webhook`, `earlier action`, `next action`, `attempt before`, `line`.",
    names.NEXT_ACTION: "What is done next.",
    names.POLICY: "The policy.",
    names.REASON: "Why it is not done, or not yet; see docs/remediation.md.",
    names.REQUEST: "The request's id: that of the action, and a number.",
    names.RESULT: "What the actor answered: `done`, `failed`, `refused`, `unknown`.",
    names.RUNG: "Which step of the policy's ladder, from 0.",
    names.SIGNALS: "How many signals a request had.",
    names.SINK: "The sink's name.",
    names.STATE: "How the action ended.",
    names.TARGET: "Kind and name of what it is done to.",
    names.VERB: "What the actor was asked for.",
}
MEANINGS: Mapping[str, str] = MappingProxyType(_MEANINGS)

DROPPED: Mapping[str, str] = MappingProxyType(
    {
        FULL: "The spool was full, and the oldest had to go before the collector had them.",
        ROTATED: "The same where no collector is configured, so that nobody waits for them.",
        "refused": "The collector answered 400, 413 or 422 to them alone.",
        "rejected": "The collector took the others of the request (partial success).",
        UNWRITABLE: "The folder of the spool could not be written.",
        DAMAGED: "They could not be read back, or somebody has removed their file.",
        TOO_LARGE: "One was larger than 1 MiB.",
        INVALID: "Something in one has no form that can be written, such as half a character.",
    }
)


def reference_page() -> str:
    """Return docs/tracing-reference.md."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Spans and attributes"
    yield ""
    yield "Written by `scripts/regenerate`. How tracing works stands in [tracing.md](tracing.md)."
    yield ""
    yield "## Spans"
    yield ""
    yield "| span | kind | below | what it covers |"
    yield "|---|---|---|---|"
    yield from (f"| {each.name} | {each.kind} | {each.parent} | {each.meaning} |" for each in SPANS)
    yield ""
    yield "## Attributes"
    yield ""
    yield "Those of OpenTelemetry are its semantic conventions 1.44; `alerting.` is Alertmanager's own."
    yield ""
    yield "| attribute | of | meaning |"
    yield "|---|---|---|"
    yield from (f"| `{name}` | {_owner(name)} | {meaning} |" for name, meaning in sorted(MEANINGS.items()))
    yield ""
    yield "## Why spans are dropped"
    yield ""
    yield "| reason | meaning |"
    yield "|---|---|"
    yield from (f"| `{reason}` | {meaning} |" for reason, meaning in DROPPED.items())


def _owner(name: str) -> str:
    if name.startswith("alerting."):
        return "Alertmanager"
    return _OURS if name.startswith("compose_agent.") else _CONVENTION
