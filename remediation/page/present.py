"""An overview and a history as the templates take them: words, marks, addresses. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from compose_agent.dockerd.overview import words
from compose_agent.web.page import Bar, bar
from remediation import telling
from remediation.deciding import FREEZE_BUCKET
from remediation.guard.breaker import BreakerState
from remediation.history import ActionRow
from remediation.model import State
from remediation.overview import BreakerRow, BudgetRow, Overview, waits_for_person
from remediation.page.asked import Asked
from remediation.policies.model import Rate
from remediation.rates import rate_text
from remediation.reasons import meaning
from remediation.why import SHORT_ID, Account

# A shorter wait than this is over before anybody has read of it.
_WORTH_SAYING_SECONDS = 2.0
# Of a loop that turns four times a second: this long ago is as good as now.
_JUST_NOW_SECONDS = 2.0
_BUDGET_LABELS = {
    "host": "Left for this host",
    "everything": "Left for everything",
    FREEZE_BUCKET: "Left until it freezes by itself",
}


@dataclass(frozen=True, slots=True)
class Tile:
    """One thing to know at a glance; ``level`` is a mark before it, empty for none."""

    label: str
    value: str
    note: str = ""
    level: str = ""
    bar: Bar | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """An account: sentences with their times, in their order, and what came of it."""

    heading: str
    lines: Sequence[tuple[str, str]]
    outcome: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Line:
    """One action. ``wait`` says how long it has been in its state, ``next`` when it is looked at again."""

    id: str
    short: str
    level: str
    state: str
    action: str
    kind: str
    target: str
    policy: str
    alert: str
    rung: int
    reason: str
    because: str
    wait: str
    next: str
    ago: str
    when: str
    took: str
    approved_by: str
    href: str
    over: bool
    told: Told | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What holds actions up by itself: a breaker that is not closed, or a budget that is spent."""

    id: str
    what: str
    level: str
    state: str
    why: str


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that the page shows."""

    title: str
    host: str
    time: str
    level: str
    verdict: str
    overview: Overview
    tiles: Sequence[Tile]
    budgets: Sequence[Tile]
    approvals: Sequence[Line]
    given_up: Sequence[Line]
    live: Sequence[Line]
    not_shown: int
    held: Sequence[Held]
    history: Sequence[Line]
    asked: Asked
    states: Sequence[str]
    policies: Sequence[str]
    more: str


def present(overview: Overview, asked: Asked, rows: Sequence[ActionRow], account: Account | None) -> Page:
    """Return the page; ``account`` is that of the row that is open."""
    lines = [_line(each, overview.at, asked) for each in overview.live]
    waiting = [waits_for_person(each) for each in overview.live]
    level, verdict = _verdict(overview)
    host = overview.host or "this host"
    mark = "! " if level == "bad" else f"({overview.approvals}) " if overview.approvals else ""
    return Page(
        title=f"{mark}Remediation · {host}",
        host=host,
        time=words.clock(overview.at),
        level=level,
        verdict=verdict,
        overview=overview,
        tiles=list(_tiles(overview)),
        budgets=[_budget_tile(each) for each in overview.budgets if each.budget in _BUDGET_LABELS],
        approvals=[line for line, waits in zip(lines, waiting, strict=True) if waits],
        given_up=[_line(each, overview.at, asked) for each in overview.given_up],
        live=[line for line, waits in zip(lines, waiting, strict=True) if not waits],
        not_shown=overview.live_count - len(lines),
        held=list(_held(overview)),
        history=[_line(each, overview.at, asked, account) for each in rows],
        asked=asked,
        states=[str(state) for state in State],
        policies=sorted({*overview.policies, *filter(None, [asked.policy])}),
        more=asked.more() if len(rows) >= asked.rows else "",
    )


def told(account: Account) -> Told:
    """Return an account with its times in words."""
    lines = [(words.date(each.at), each.text) for each in account.lines]
    return Told(account.heading, lines, account.outcome, account.remedy)


def _verdict(overview: Overview) -> tuple[words.Level, str]:
    """Return the one sentence that somebody woken at night reads first."""
    return next((level, said) for holds, level, said in _sentences(overview) if holds)


def _sentences(overview: Overview) -> Iterator[tuple[bool, words.Level, str]]:
    """Yield what may be the case, the worst first: whether it is, how bad that is, and how it is said."""
    given_up, breakers = len(overview.given_up), len(overview.breakers)
    yield bool(overview.journal or overview.reasons), "bad", "Alerts do not become actions"
    yield bool(overview.frozen), "bad", "Frozen: nothing is begun"
    yield given_up > 0, "bad", f"{_count(given_up, 'alert')} to look after by hand"
    yield overview.approvals > 0, "warn", f"{_count(overview.approvals, 'action')} for you to approve or deny"
    yield overview.dry_run, "warn", "Dry run: decisions are written down, nothing is done"
    yield breakers > 0, "warn", f"{_count(breakers, 'target')} left alone for a while: actions did not help"
    yield overview.live_count > 0, "ok", f"All is well; {_count(overview.live_count, 'action')} under way"
    yield True, "ok", "All is well, and nothing is to be done"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _tiles(overview: Overview) -> Iterator[Tile]:
    yield Tile("Engine", *(("away", "", "bad") if overview.engine else ("answers", "", "ok")))
    yield Tile("Journal", *(("not writable", "", "bad") if overview.journal else ("on disk", "", "ok")))
    silent = max(0.0, overview.at - overview.heartbeat_at)
    ago = "just now" if silent < _JUST_NOW_SECONDS else f"{words.duration(silent)} ago"
    yield Tile("Last decided", ago, "", "ok" if silent < _JUST_NOW_SECONDS else "warn")
    inbox = overview.inbox
    yield Tile(
        "Alerts in the inbox", str(inbox), "not decided yet" if inbox else "", "warn" if inbox else "ok"
    )


def _budget_tile(row: BudgetRow) -> Tile:
    span = words.duration(row.seconds)
    used = 1 - row.left / row.count if row.count else None
    return Tile(_BUDGET_LABELS[row.budget], str(int(row.left)), f"of {row.count} in {span}", bar=bar(used))


def _held(overview: Overview) -> Iterator[Held]:
    for each in overview.breakers:
        yield _breaker(each, overview.at)
    for budget in overview.budgets:
        if budget.budget not in _BUDGET_LABELS:
            yield _spent(budget, overview.at)


def _breaker(row: BreakerRow, now: float) -> Held:
    is_open = row.state == BreakerState.OPEN
    wait = words.duration(max(0.0, row.until - now))
    then = f"a trial is made in {wait}" if is_open else "one trial is let through"
    why = f"{_count(row.failures, 'action')} in a row did not help; {then}"
    what = f"{_target(row.target)}, policy {row.policy}"
    state = "open" if is_open else "half open"
    return Held(
        f"breaker-{row.policy}-{row.target}", what, "bad" if is_open else "warn", f"breaker {state}", why
    )


def _spent(row: BudgetRow, now: float) -> Held:
    kind, _, rest = row.budget.partition(":")
    policy, _, name = rest.partition(":")
    rate = rate_text(Rate(row.count, row.seconds))
    wait = words.duration(max(0.0, row.next_at - now))
    what = f"{_target(name) if kind == 'target' else f'service {name}'}, policy {policy}"
    return Held(f"budget-{row.budget}", what, "warn", "budget spent", f"{rate}; the next action in {wait}")


def _target(target: str) -> str:
    kind, colon, name = target.partition(":")
    return f"{kind} {name}" if colon else target


def _line(row: ActionRow, now: float, asked: Asked, account: Account | None = None) -> Line:
    is_open = asked.open == row.id
    kind, _, target = row.target.partition(":")
    return Line(
        id=row.id,
        short=row.id[:SHORT_ID],
        level=telling.level(row),
        state=f"{row.state}, dry run" if row.dry_run else row.state,
        action=row.action,
        kind=kind,
        target=target,
        policy=row.policy,
        alert=row.alert,
        rung=row.rung,
        reason=row.reason.replace("_", " "),
        because=row.detail or (meaning(row.reason).words if row.reason else ""),
        wait=words.duration(max(0.0, now - _since(row))),
        next=_next(row, now),
        ago=f"{words.duration(max(0.0, now - telling.latest(row)))} ago",
        when=words.date(telling.latest(row)),
        took=telling.took(row),
        approved_by=row.approved_by,
        over=row.ended_at > 0,
        href=asked.href(open="" if is_open else row.id),
        told=told(account) if is_open and account else None,
    )


def _since(row: ActionRow) -> float:
    """Return since when an action is in its state, Unix seconds."""
    since: Mapping[str, float] = {State.EXECUTING: row.started_at, State.VERIFYING: row.acted_at}
    return since.get(row.state) or row.created_at


def _next(row: ActionRow, now: float) -> str:
    if row.state != State.PLANNED or row.not_before < now + _WORTH_SAYING_SECONDS:
        return ""
    return words.duration(row.not_before - now)
