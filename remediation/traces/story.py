"""From an entry of the audit to the spans that end with it: pure, so that they are the same at any time.

==========================  ===========================================================================
``decided``: acts           ``decide``, from the plan until it may go, with an event for each wait;
                            ``commit``, until that is on disk
``decided``: never          ``decide``, unless it was acted on already, and the root
``verified``                ``verify``, with an event for each look; ``escalate`` if there is a next step;
                            and the root
==========================  ===========================================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from compose_agent.audit.chain import Entry
from compose_agent.dockerd.verbs.model import Result
from compose_agent.tracing import attributes as names
from compose_agent.tracing import context
from compose_agent.tracing.records import ERROR, NS_PER_SECOND, OK, Event, Link, Span
from remediation.model import Episode, Intent, State
from remediation.traces.ids import COMMIT, DECIDE, ESCALATE, ROOT, VERIFY, span_id, trace_id

SCOPE = "remediation"
# Kinds of entries with which a span may end.
ENDING = ("decided", "verified")
# Decisions after which something is still to come.
_NOT_THE_END = ("planned", "waits")
_GOES = "acts"
_HELPED_NOT = (State.FAILED, State.ESCALATED)
# Said by people while an intent waits.
_SAID = ("approved", "denied")
_WEBHOOK, _EARLIER, _NEXT = "webhook", "earlier action", "next action"


@dataclass(frozen=True, slots=True)
class Story:
    """What is known of an intent: its episode, what the audit has of it, and the ones before and after.

    ``committed_at`` is when the decision was on disk, 0 if nobody knows; ``probes`` are what verification has
    seen, in Unix seconds and words. ``about`` are attributes of the target.
    """

    intent: Intent
    episode: Episode | None = None
    entries: Sequence[Entry] = ()
    earlier: str = ""
    following: str = ""
    committed_at: float = 0.0
    probes: Sequence[tuple[float, str]] = ()
    about: Mapping[str, Any] = field(default_factory=dict)


def ends_something(entry: Entry) -> bool:
    """Tell whether any span ends with an entry of the audit."""
    decision = str(entry.fields.get("decision", ""))
    return entry.kind == "verified" or (entry.kind == "decided" and decision not in _NOT_THE_END)


def spans(entry: Entry, story: Story) -> list[Span]:
    """Return the spans that end with an entry about the story's intent."""
    if not ends_something(entry):
        return []
    if entry.kind == "verified":
        return [*_verified(entry, story), _root(entry, story)]
    if begins(entry):
        return [_decide(entry, story), _commit(entry, story)]
    decided = [] if _began_before(entry, story) else [_decide(entry, story)]
    return [*decided, _root(entry, story)]


def _commit(entry: Entry, story: Story) -> Span:
    return _child(story, COMMIT, entry.at, max(entry.at, story.committed_at), {})


def begins(entry: Entry) -> bool:
    """Tell whether an action begins with an entry."""
    return entry.kind == "decided" and entry.fields.get("decision") == _GOES


def _began_before(entry: Entry, story: Story) -> bool:
    return any(begins(each) and each.seq < entry.seq for each in story.entries)


def _decide(entry: Entry, story: Story) -> Span:
    decision = str(entry.fields.get("decision", ""))
    goes = decision == _GOES
    said = {names.DECISION: "act" if goes else "suppress"}
    if not goes:
        said |= {names.REASON: decision, names.DETAIL: str(entry.fields.get("detail", ""))}
    waits = [each for each in story.entries if each.seq < entry.seq and _is_wait(each)]
    return _child(
        story, DECIDE, story.intent.created_at, entry.at, said, events=[_wait_event(each) for each in waits]
    )


def _is_wait(entry: Entry) -> bool:
    return entry.fields.get("decision") == "waits" or entry.kind in _SAID


def _wait_event(entry: Entry) -> Event:
    if entry.kind in _SAID:
        return Event(entry.kind, _ns(entry.at), {"by": str(entry.fields.get("by", ""))})
    said = {names.REASON: entry.fields.get("reason", ""), names.DETAIL: entry.fields.get("detail", "")}
    return Event("waits", _ns(entry.at), {key: str(value) for key, value in said.items()})


def _verified(entry: Entry, story: Story) -> Iterator[Span]:
    intent, helped = story.intent, bool(entry.fields.get("helped"))
    detail = str(entry.fields.get("detail", ""))
    if _was_done(intent):
        events = [Event("probe", _ns(at), {names.DETAIL: words}) for at, words in story.probes]
        said = {names.HELPED: helped, names.DETAIL: detail}
        wrong = "" if helped else detail
        yield _child(story, VERIFY, intent.acted_at, entry.at, said, events=events, wrong=wrong)
    if action := str(entry.fields.get("next", "")):
        links = [_link(story.following, _NEXT)] if story.following else []
        yield _child(story, ESCALATE, entry.at, entry.at, {names.NEXT_ACTION: action}, links=links)


def _was_done(intent: Intent) -> bool:
    outcomes = intent.facts.get("outcomes") or [{"result": Result.DONE}]
    return bool(outcomes[-1].get("result") == Result.DONE)


def _root(entry: Entry, story: Story) -> Span:
    intent, episode = story.intent, story.episode
    said: dict[str, Any] = {
        names.INTENT: intent.id,
        names.EPISODE: intent.episode,
        names.POLICY: intent.policy,
        names.RUNG: intent.rung,
        names.STATE: str(intent.state),
        names.DETAIL: intent.detail,
        **({names.REASON: intent.reason} if intent.reason else {}),
        **({names.DRY_RUN: True} if intent.dry_run else {}),
        **({names.APPROVED_BY: intent.approved_by} if intent.approved_by else {}),
    }
    if episode:
        said |= {names.ALERT_NAME: episode.alert, names.ALERT_FINGERPRINT: episode.fingerprint}
    wrong = intent.detail if intent.state in _HELPED_NOT else ""
    return Span(
        trace=trace_id(intent.id),
        span=span_id(intent.id, ROOT),
        name=f"{ROOT} {intent.policy}",
        start=_ns(intent.created_at),
        end=_ns(max(intent.created_at, entry.at)),
        attributes={**_common(story), **said},
        links=_links(story),
        status=ERROR if wrong else OK,
        message=wrong,
        scope=SCOPE,
    )


def _links(story: Story) -> list[Link]:
    found = []
    webhook = context.parse(story.episode.traceparent) if story.episode else None
    if webhook:
        trace, span = webhook.trace_id.to_bytes(16), webhook.span_id.to_bytes(8)
        found.append(Link(trace, span, {names.LINK: _WEBHOOK}, remote=True))
    if story.earlier:
        found.append(_link(story.earlier, _EARLIER))
    return found


def _link(intent_id: str, what: str) -> Link:
    return Link(trace_id(intent_id), span_id(intent_id, ROOT), {names.LINK: what})


def _child(
    story: Story,
    what: str,
    start: float,
    end: float,
    said: Mapping[str, Any],
    *,
    events: Sequence[Event] = (),
    links: Sequence[Link] = (),
    wrong: str = "",
) -> Span:
    intent = story.intent
    return Span(
        trace=trace_id(intent.id),
        span=span_id(intent.id, what),
        parent=span_id(intent.id, ROOT),
        name=what,
        start=_ns(min(start, end) if start else end),
        end=_ns(end),
        attributes={**_common(story), **said, **({names.ERROR_TYPE: f"{what} failed"} if wrong else {})},
        events=list(events),
        links=list(links),
        status=ERROR if wrong else OK,
        message=wrong,
        scope=SCOPE,
    )


def _common(story: Story) -> dict[str, Any]:
    return {names.ACTION: story.intent.action, names.TARGET: str(story.intent.target), **story.about}


def _ns(seconds: float) -> int:
    return int(seconds * NS_PER_SECOND)
