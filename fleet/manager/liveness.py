"""How a node stands, judged from what was heard of it and when. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from fleet.manager.model import Node, State
from fleet.opamp.uid import uid_text

# An agent whose heartbeats come up to a third late is still on time.
LATE_AFTER_INTERVALS = 1.5
# With what a sweep adds, within two and a half intervals.
OFFLINE_AFTER_INTERVALS = 2.25
# How long a second user of a uid is believed to be there without speaking again.
CONFLICT_INTERVALS = 3.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """A state and, in words, why."""

    state: State
    reason: str


def judge(node: Node, now: float, rival: Node | None = None) -> Verdict:
    """Return how ``node`` stands at ``now``, of the monotonic clock.

    ``rival`` is another node of the same name that was there before and is alive, None for no such.
    """
    if node.disabled:
        return Verdict(State.DISABLED, "switched off at the manager")
    return _absent(node, now - node.heard_at) or _doubled(node, now, rival) or _online(node)


def is_settled(node: Node, now: float) -> bool:
    """Tell whether time alone changes nothing yet: so it is with nearly all nodes, nearly always."""
    if node.state is State.ONLINE:
        return not node.rival and now - node.heard_at <= node.interval * LATE_AFTER_INTERVALS
    return node.state is State.DISABLED or (node.state is State.OFFLINE and not node.rival)


def _absent(node: Node, silent: float) -> Verdict | None:
    if node.left:
        return Verdict(State.OFFLINE, node.gone)
    if silent > node.interval * OFFLINE_AFTER_INTERVALS:
        return Verdict(State.OFFLINE, node.gone or _silence(node, OFFLINE_AFTER_INTERVALS))
    if node.gone:
        return Verdict(State.LATE, node.gone)
    if silent > node.interval * LATE_AFTER_INTERVALS:
        return Verdict(State.LATE, _silence(node, LATE_AFTER_INTERVALS))
    return None


def _doubled(node: Node, now: float, rival: Node | None) -> Verdict | None:
    if now < node.conflict_until:
        return Verdict(State.DUPLICATE, "two agents speak with this instance uid at the same time")
    if rival is not None:
        where = rival.description.host if rival.description else ""
        at = f" on {where}" if where else ""
        return Verdict(State.DUPLICATE, f"the node id is that of {uid_text(rival.uid)}{at} as well")
    return None


def _online(node: Node) -> Verdict:
    return Verdict(State.ONLINE, f"heard over {node.transport}")


def _silence(node: Node, intervals: float) -> str:
    return f"nothing heard for {node.interval * intervals:g} s; it should speak every {node.interval:g} s"
