"""The rules by which an intent may be carried out, in the order in which they are asked.

The order is that of what people ask first: is there such a container, did its owner agree, does it still need
help, has somebody approved of it, has somebody stopped everything; then the limits, the dearest to take last.
What is frozen can be approved meanwhile, therefore.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from remediation.actions import opt_in_word
from remediation.guard import moment, target
from remediation.guard.case import Case
from remediation.guard.verdict import Verdict

_Rules = Sequence[Callable[[Case], Verdict | None]]

_FOR_CONTAINERS: _Rules = (
    moment.too_late,
    target.engine_away,
    target.gone,
    target.not_looked_at,
    target.not_opted_in,
    target.in_a_group,
    target.recovered,
    target.stopped_by_hand,
    moment.dry_run,
    moment.not_approved,
    moment.frozen,
    moment.in_window,
    moment.silenced,
    moment.being_deployed,
    moment.busy,
    moment.backing_off,
    moment.breaker_open,
    moment.too_few_left,
    target.nothing_to_change,
)
# To tell somebody is right also when the target is gone, or its Engine: that may be what there is to tell.
_FOR_CALLS: _Rules = (
    moment.dry_run,
    moment.not_approved,
    moment.frozen,
    moment.silenced,
)


def judge(case: Case) -> Verdict:
    """Return whether an intent may be carried out now."""
    rules = _FOR_CONTAINERS if opt_in_word(case.intent.action) else _FOR_CALLS
    for rule in rules:
        if (verdict := rule(case)) is not None:
            return verdict
    return moment.budgets(case)
