"""The policies by which commands are carried out: one for each action and kind of target."""

from __future__ import annotations

import math
from collections.abc import Mapping

from remediation.actions import ACTIONS, FAILOVER
from remediation.model import Intent, TargetKind
from remediation.policies.model import Limits, Policy, Step, TargetRule

# No policy of a file can have a name with this mark.
_MARK = "command:"
# A person decides how often; what holds for the whole host holds for commands, too.
_LIMITS = Limits(per_target=None, per_service=None, backoff_first_seconds=0.0, breaker_failures=2**31)
# After these somebody wants a container to be as they have left it.
_BY_HAND = ("stop", "pause", "kill")
# A fail-over goes on step by step, and cannot be ended by a deadline.
NAMES = tuple(name for name, each in ACTIONS.items() if each.opt_in and name != FAILOVER)


def policy_name(action: str, kind: TargetKind) -> str:
    """Return the name of the policy of commands that ask for an action."""
    return f"{_MARK}{action}:{kind}"


def is_by_hand(intent: Intent) -> bool:
    """Tell whether what an intent does is to be taken for what a person does."""
    return intent.policy.startswith(_MARK) and intent.action in _BY_HAND


def _policy(action: str, kind: TargetKind) -> Policy:
    return Policy(
        name=policy_name(action, kind),
        match=(),
        target=TargetRule(kind),
        ladder=(Step(action),),
        limits=_LIMITS,
        verify=None,
        patience=math.inf,
        by_hand=True,
    )


COMMANDS: Mapping[str, Policy] = {
    policy_name(name, kind): _policy(name, kind) for name in NAMES for kind in ACTIONS[name].targets
}
