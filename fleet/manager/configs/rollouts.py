"""Brings versions to agents, batch by batch, and back when a batch goes wrong.

Every step is on disk before any agent hears of it, so that a manager that is killed goes on where it was: the
batch that was released is watched anew from the beginning.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from compose_agent.errors import ComposeAgentError, StateError
from fleet.manager.configs.gate import Outcome, Seen, Verdict, batch_size, has_settled, judge, of_batch
from fleet.manager.configs.layers import Layers
from fleet.manager.configs.model import (
    HAS_VERSION,
    OPEN,
    LayerKey,
    Member,
    MemberState,
    Phase,
    Rollout,
    Status,
    Version,
)
from fleet.manager.configs.office import Office, accepts, reports
from fleet.manager.configs.store import ConfigStore
from fleet.manager.model import ALIVE, Node, State
from fleet.manager.registry import Clocks, Registry
from fleet.manager.rows import problem_of
from fleet.manager.selector import Selector

logger = logging.getLogger(__name__)

# How often a batch is looked at when nobody reports anything: silence and the gate's end.
_LOOK_SECONDS = 0.5
# For how long agents that had the version are waited for after it was taken back.
_REVERT_SECONDS = 300.0
# After a start of the manager an agent that it does not know may have come just before the end: who has not
# come again by then does not come.
_COMING_SECONDS = 60.0
_KEPT = 200
_HAD_VERSION = frozenset({MemberState.FAILED, MemberState.REVERTED})
_LONGEST_REASON = 1000


_EVERYBODY = Selector(())


class RolloutRefused(ComposeAgentError):
    """What somebody wants of a layer or a roll-out does not go together with how it stands."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a version is brought out: to whom first, how many at a time; see :class:`Rollout` for the times."""

    selector: Selector = _EVERYBODY
    batch: str = "10%"
    gate: float = 30.0  # seconds
    within: float = 60.0  # seconds


class Rollouts:
    """One thread steps through the open roll-outs; people's calls return when what they want is on disk.

    Every call raises StateError, and RolloutRefused for what cannot be done now.
    """

    def __init__(
        self,
        registry: Registry,
        layers: Layers,
        office: Office,
        store: ConfigStore,
        *,
        changed: Callable[[], None] = lambda: None,
        ended: Callable[[Phase], None] = lambda _phase: None,
        clocks: Clocks | None = None,
    ) -> None:
        self._registry = registry
        self._layers = layers
        self._office = office
        self._store = store
        self._changed = changed
        self._ended = ended
        self._clocks = clocks or Clocks()
        self._changing = threading.RLock()  # one step after the other, each with its write
        self._all: dict[int, Rollout] = {}
        self._since: dict[int, float] = {}  # of the monotonic clock: the last batch, or the taking back
        self._settled: dict[int, float] = {}  # of that clock: since when all of that batch have applied it
        self._restored_at = float("-inf")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="manager-rollouts", daemon=True)
        self.error = ""

    def restore(self) -> None:
        """Take up layers, reports and roll-outs of the last time."""
        self._restored_at = self._clocks.monotonic()
        self._office.restore(self._store.reports())
        for version in self._store.in_force():
            self._layers.put(version)
        for rollout in reversed(self._store.rollouts(_KEPT)):
            self._all[rollout.id] = rollout
            if rollout.phase in OPEN:
                self._since[rollout.id] = self._clocks.monotonic()
                self._layers.begin(rollout, self._version(rollout))

    def start(self) -> None:
        """Begin to step."""
        self._thread.start()

    def stop(self) -> None:
        """Write what was heard, and end."""
        self._stopping.set()
        self._office.heard.set()
        if self._thread.is_alive():
            self._thread.join()
        self._write_reports()

    # What people ask.

    def all(self) -> list[Rollout]:
        """Return the last roll-outs, the newest first."""
        with self._registry.lock():
            return [self._all[number] for number in sorted(self._all, reverse=True)]

    def get(self, id: int) -> Rollout | None:
        """Return a roll-out."""
        return self._all.get(id)

    def push(self, version: Version, plan: Plan) -> tuple[Version, Rollout]:
        """Write a new version of a layer and begin to bring it out; its id and number are given here."""
        with self._changing:
            if under_way := self._layers.open_on(version.key):
                raise RolloutRefused(
                    f"roll-out {under_way.id} of this layer is {under_way.phase}",
                    remedy="wait for its end, or take it back or go on with it",
                )
            former = self._layers.in_force(version.key)
            members = self._members(version.key, plan.selector)
            rollout = Rollout(
                id=0,
                key=version.key,
                version=0,
                former=former.id if former else None,
                selector=str(plan.selector),
                batch_size=batch_size(plan.batch, len(members)),
                gate=plan.gate,
                within=plan.within,
                actor=version.actor,
                at=version.at,
            )
            rollout.members = _in_batches(members, rollout.batch_size, 1)
            version, rollout = self._store.begin(version, rollout)
            with self._registry.lock():
                self._all[rollout.id] = rollout
                self._layers.begin(rollout, version)
            self._step(rollout)
        self._office.heard.set()
        return version, rollout

    def pause(self, rollout: Rollout) -> None:
        """Release no further batch; the one that was released is still watched."""
        self._turn(rollout, {Phase.RUNNING}, Phase.PAUSED)

    def resume(self, rollout: Rollout) -> None:
        """Go on: with the next batch, or with everybody else in the layer's scope."""
        with self._changing:
            if rollout.phase is Phase.HELD:
                everybody = self._members(rollout.key, _EVERYBODY)
                others = [node for node in everybody if node.uid not in rollout.members]
                more = _in_batches(others, rollout.batch_size, rollout.batches + 1)
                self._commit(rollout, list(more.values()), selector="", phase=Phase.RUNNING, reason="")
            else:
                self._turn(rollout, {Phase.PAUSED}, Phase.RUNNING)
            self._step(rollout)

    def revert(self, rollout: Rollout, reason: str) -> None:
        """Take the version back from everybody who has it."""
        with self._changing:
            if rollout.phase not in {Phase.RUNNING, Phase.PAUSED, Phase.HELD}:
                raise RolloutRefused(
                    f"roll-out {rollout.id} is {rollout.phase}, so there is nothing to take back"
                )
            self._take_back(rollout, {}, reason)

    def _turn(self, rollout: Rollout, before: set[Phase], after: Phase) -> None:
        with self._changing:
            if rollout.phase not in before:
                raise RolloutRefused(f"roll-out {rollout.id} is {rollout.phase}")
            self._commit(rollout, (), phase=after)

    # What the thread does.

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._office.heard.wait(_LOOK_SECONDS)
            self._office.heard.clear()
            try:
                self.tick()
                self.error = ""
            except StateError as error:
                self.error = str(error)
                self._stopping.wait(_LOOK_SECONDS)
            except Exception as error:  # the next look must come: without any, nothing is ever taken back
                self.error = f"the roll-outs stand still: {error!r}"
                logger.exception("a look at the roll-outs failed")
                self._stopping.wait(_LOOK_SECONDS)

    def tick(self) -> None:
        """Write what agents have reported, and take each open roll-out a step further."""
        self._write_reports()
        with self._changing:
            for rollout in [each for each in self._all.values() if each.phase in OPEN]:
                self._step(rollout)

    def _step(self, rollout: Rollout) -> None:
        if rollout.phase is Phase.REVERTING:
            self._look_for_return(rollout)
        elif rollout.phase in {Phase.RUNNING, Phase.PAUSED}:
            verdicts = self._verdicts(rollout)
            match of_batch(verdicts.values()):
                case Outcome.STOP:
                    self._take_back(rollout, verdicts, "")
                case Outcome.PASS if rollout.phase is Phase.RUNNING:
                    self._go_on(rollout)
                case _:
                    pass

    def _verdicts(self, rollout: Rollout) -> dict[bytes, Verdict]:
        with self._registry.lock():
            seen = {
                uid: self._seen(member, self._since.get(rollout.id, 0.0))
                for uid, member in rollout.members.items()
                if member.state is MemberState.RELEASED
            }
        now = self._clocks.monotonic()
        if has_settled(seen.values()):
            over = now - self._settled.setdefault(rollout.id, now) >= rollout.gate
        else:
            self._settled.pop(rollout.id, None)
            over = False
        late = now - self._since.get(rollout.id, now) >= rollout.within
        return {uid: judge(each, over=over, late=late) for uid, each in seen.items()}

    def _seen(self, member: Member, released_at: float) -> Seen:
        node = self._registry.get(member.uid)
        if node is None:
            coming = self._clocks.monotonic() - self._restored_at < _COMING_SECONDS
            return Seen(State.LATE if coming else State.OFFLINE, Status.UNSET)
        agent, desired = self._office.agent(node.uid), self._office.desired(node)
        return Seen(
            state=node.state,
            status=agent.status_of(desired) if desired else Status.UNSET,
            reason=agent.reason,
            **(self._turned(node, released_at) if member.healthy_before else {}),
            reports=reports(node),
            problem=problem_of(node.health) if node.health else "",
        )

    def _turned(self, node: Node, released_at: float) -> dict[str, float]:
        """Return for how long an agent that was well at its release has been ill, or well again."""
        if node.health is None:
            return {}
        stands_for = self._clocks.monotonic() - node.turned_at
        if not node.health.healthy:
            return {"ill_for": stands_for}
        return {"well_for": stands_for} if node.turned_at > released_at else {}

    def _go_on(self, rollout: Rollout) -> None:
        """Release the next batch that has somebody in it, or end."""
        passed = [
            replace(member, state=MemberState.PASSED)
            for member in rollout.members.values()
            if member.state is MemberState.RELEASED
        ]
        for batch in range(rollout.batch + 1, rollout.batches + 1):
            released, skipped = self._next(rollout, batch)
            passed += skipped
            if released:
                self._release(rollout, batch, [*passed, *released])
                return
        self._end(rollout, passed)

    def _next(self, rollout: Rollout, batch: int) -> tuple[list[Member], list[Member]]:
        """Return the members of a batch that get the version now, and those that are not there."""
        released, skipped = [], []
        with self._registry.lock():
            for member in [each for each in rollout.members.values() if each.batch == batch]:
                node = self._registry.get(member.uid)
                if node is None or node.state not in ALIVE or not accepts(node):
                    skipped.append(replace(member, state=MemberState.SKIPPED, reason="it was not there"))
                    continue
                healthy = node.health is None or node.health.healthy
                released.append(replace(member, state=MemberState.RELEASED, healthy_before=healthy))
        return released, skipped

    def _release(self, rollout: Rollout, batch: int, members: list[Member]) -> None:
        self._commit(rollout, members, batch=batch, released_at=self._clocks.wall())
        self._since[rollout.id] = self._clocks.monotonic()
        self._settled.pop(rollout.id, None)
        self._office.push(member.uid for member in members if member.state is MemberState.RELEASED)

    def _end(self, rollout: Rollout, passed: list[Member]) -> None:
        if rollout.selector:
            self._commit(rollout, passed, phase=Phase.HELD, reason="the agents that were selected have it")
            return
        ended, version = self._clocks.wall(), self._version(rollout)
        self._commit(rollout, passed, in_force=version, phase=Phase.DONE, reason="", ended_at=ended)
        self._push_to_all(rollout.key)

    def _take_back(self, rollout: Rollout, verdicts: dict[bytes, Verdict], reason: str) -> None:
        members = []
        for member in rollout.members.values():
            verdict = verdicts.get(member.uid)
            if verdict and verdict.outcome is Outcome.STOP:
                members.append(
                    replace(member, state=MemberState.FAILED, reason=verdict.reason[:_LONGEST_REASON])
                )
                reason = reason or f"{member.node_id}: {verdict.reason}"[:_LONGEST_REASON]
            elif member.state in HAS_VERSION:
                members.append(replace(member, state=MemberState.REVERTED))
        self._commit(rollout, members, phase=Phase.REVERTING, reason=reason)
        self._since[rollout.id] = self._clocks.monotonic()
        logger.warning("a roll-out is taken back", extra={"rollout": rollout.id, "reason": reason})
        self._office.push(member.uid for member in members)

    def _look_for_return(self, rollout: Rollout) -> None:
        had = [
            each
            for each in rollout.members.values()
            if each.state in {MemberState.FAILED, MemberState.REVERTED}
        ]
        with self._registry.lock():
            missing = sum(not self._has_returned(member.uid) for member in had)
        waited = self._clocks.monotonic() - self._since.get(rollout.id, 0.0)
        if missing and waited < _REVERT_SECONDS:
            return
        reason = rollout.reason
        if missing:
            reason = f"{reason}; {missing} agents have not said that they are back"
        self._commit(rollout, (), phase=Phase.REVERTED, reason=reason, ended_at=self._clocks.wall())

    def _has_returned(self, uid: bytes) -> bool:
        node = self._registry.get(uid)
        if node is None or node.state not in ALIVE or not reports(node):
            return True  # who is away is sent what is in force when it comes
        desired, agent = self._office.desired(node), self._office.agent(uid)
        return desired is None or agent.status_of(desired) is Status.APPLIED

    def _version(self, rollout: Rollout) -> Version:
        found = self._store.version(rollout.version)
        assert found is not None  # noqa: S101 - nothing removes versions
        return found

    def _members(self, key: LayerKey, selector: Selector) -> list[Node]:
        """Return the agents that a version of a layer goes to now, by node id."""

        def work(nodes: Iterable[Node]) -> list[Node]:
            meant = [
                node
                for node in nodes
                if node.state is State.ONLINE
                and accepts(node)
                and node.description is not None
                and key.scope.matches(node.uid, node.description)
                and selector.selects(node)
            ]
            return sorted(meant, key=lambda node: (node.node_id, node.uid))

        return self._registry.read(work)

    def _push_to_all(self, key: LayerKey) -> None:
        def work(nodes: Iterable[Node]) -> list[bytes]:
            return [
                node.uid
                for node in nodes
                if node.description and key.scope.matches(node.uid, node.description)
            ]

        self._office.push(self._registry.read(work))

    def _commit(
        self, rollout: Rollout, members: Sequence[Member], *, in_force: Version | None = None, **fields: Any
    ) -> None:
        """Write a step, and then have it count in memory."""
        self._store.save(replace(rollout, **fields), members, in_force.id if in_force else None)
        with self._registry.lock():
            if (phase := fields.get("phase", rollout.phase)) not in OPEN:
                self._ended(phase)
            for name, value in fields.items():
                setattr(rollout, name, value)
            rollout.members.update((member.uid, member) for member in members)
            if in_force:
                self._layers.put(in_force)
            if rollout.phase in OPEN:
                self._layers.changed()
            else:
                self._layers.end(rollout)
        self._changed()

    def _write_reports(self) -> None:
        known, events = self._office.take_changes()
        if not (known or events):
            return
        try:
            self._store.note(known, events)
        except StateError:
            self._office.give_back(known, events)
            raise
        self._changed()


def _in_batches(nodes: Sequence[Node], size: int, first: int) -> dict[bytes, Member]:
    return {
        node.uid: Member(node.uid, node.node_id, first + number // size) for number, node in enumerate(nodes)
    }
