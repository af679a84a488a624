"""Watching over the fail-over groups of this host: when one is not as it should be, a signal says so.

What is done about it is a policy's to say, and the guard's to allow, as with every other signal; the steps
are then those of a :class:`~remediation.failover.switch.Switch`, which the engine carries out.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import msgspec

from compose_agent.dockerd.model import Container
from remediation.failover.active_passive import PassiveState, Phase
from remediation.failover.groups import groups_of, named
from remediation.failover.look import Sight, blind
from remediation.failover.model import Attachment, Group, Member
from remediation.failover.states import State, copied, forget, known, next_step, read_state, write_state
from remediation.failover.switch import Switch
from remediation.journal import Journal, Tx
from remediation.model import Intent, Signal, Source
from remediation.triggers.delivery import Delivery, Receive
from remediation.triggers.memory import Memory, recall, remember
from remediation.triggers.signals import firing, resolved

logger = logging.getLogger(__name__)

NAME = "FailoverDue"
MEMORY = "failover"
GROUP_LABEL = "failover_group"
# What probes and events find is looked at so often.
LOOK_SECONDS = 0.25
# Without any group; a container that changes wakes it.
CALM_SECONDS = 2.0
# Events of one moment come one after the other: what they show in between is not acted on.
SETTLED_SECONDS = 0.5
# Somebody who could not be helped is told of again, less and less often.
TELL_AGAIN_FIRST_SECONDS = 30.0
TELL_AGAIN_LAST_SECONDS = 600.0
STOP_SECONDS = 2.0


class Told(msgspec.Struct):
    """A signal that fires for a group; the next time that it is told of again, and the pause before that."""

    signal: Signal
    again_at: float
    pause: float = TELL_AGAIN_FIRST_SECONDS


class KeeperMemory(msgspec.Struct):
    """What was told and has not resolved, by group."""

    told: dict[str, Told] = {}


class Keeper:
    """One thread that looks after every group, and the courses of fail-overs.

    ``now`` is the clock in Unix seconds.
    """

    def __init__(
        self,
        journal: Journal,
        sight: Sight,
        receive: Receive,
        memory: Memory,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._sight = sight
        self._delivery = Delivery(receive, now)
        self._memory = memory
        self._now = now
        self._state = recall(memory, MEMORY, KeeperMemory) or KeeperMemory()
        self._since: dict[str, float] = {}
        self._without: Sequence[Container] | None = None
        self._problems: Mapping[str, str] = {}
        self._stop = threading.Event()
        self._news = threading.Event()
        self._thread = threading.Thread(target=self._work, name="failover", daemon=True)

    @property
    def problems(self) -> Mapping[str, str]:
        """What is wrong with labels, by container."""
        return dict(self._problems)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more; what was not delivered is told after the next start."""
        self._stop.set()
        self._news.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_SECONDS)

    def wake(self) -> None:
        """Look now: a container may have changed."""
        self._news.set()

    def course(self, intent: Intent) -> Switch:
        """Return how a fail-over is carried out."""
        return Switch(intent, self._journal, lambda: self._sight.look(intent.target), self._now)

    def _work(self) -> None:
        while not self._stop.is_set():
            self._news.wait(LOOK_SECONDS if self._without is None else CALM_SECONDS)
            self._news.clear()
            try:
                self._turn()
            except Exception:  # the thread's outermost loop: without it no group is looked after any more
                logger.exception("cannot look after fail-over groups")
                self._stop.wait(LOOK_SECONDS)

    def _turn(self) -> None:
        world = self._sight.world()
        if blind(world) or world.containers is self._without:
            return
        ill = self._sight.ill()
        groups, problems = groups_of(world.containers, ill.ailing, ill.died)
        self._say(problems)
        self._forget(named(world.containers))
        due = {group.name: step for group, members in groups.items() if (step := self._due(group, members))}
        signals = self._signals(due)
        if signals and self._delivery.deliver(signals, self._stop):
            remember(self._memory, MEMORY, self._state)
        self._without = None if groups or self._state.told else world.containers

    def _say(self, problems: Mapping[str, str]) -> None:
        for name in problems.keys() - self._problems.keys():
            logger.warning("no fail-over by labels", extra={"container": name, "error": problems[name]})
        self._problems = problems

    def _forget(self, here: set[str]) -> None:
        if self._journal.read(known) - here:
            self._journal.write(lambda tx: forget(tx, here))

    def _due(self, group: Group, members: Sequence[Member]) -> str:
        """Return the member because of which something is to be done, empty when all is as it should be."""
        before = self._journal.read(lambda view: read_state(view, group))
        state = copied(before)
        step = next_step(group, state, _attached(state, members), self._now())
        if isinstance(state, PassiveState) and state.phase is not Phase.STEADY:
            return state.active
        if step:
            return step.member
        if state != before:
            self._journal.write(lambda tx: _replace(tx, group, before, state))
        return ""

    def _signals(self, due: Mapping[str, str]) -> list[Signal]:
        now, told = self._now(), self._state.told
        self._since = {name: self._since.get(name, now) for name in due}
        signals = [resolved(told.pop(name).signal, now) for name in sorted(told.keys() - due.keys())]
        for name, member in due.items():
            if told_before := told.get(name):
                if now >= told_before.again_at:
                    signals.append(_again(told_before, now))
            elif now - self._since[name] >= SETTLED_SECONDS:
                signal = _firing(name, member, self._since[name])
                told[name] = Told(signal, now + TELL_AGAIN_FIRST_SECONDS)
                signals.append(signal)
        return signals


def _attached(state: State, members: Collection[Member]) -> list[Member]:
    """Return members with what is remembered of their attachments; how they are in truth a step looks at."""
    if isinstance(state, PassiveState):
        return list(members)
    return [
        replace(each, attachment=None if each.id in state.detached else Attachment("")) for each in members
    ]


def _replace(tx: Tx, group: Group, before: State, after: State) -> None:
    """Write what a look has found, unless a fail-over has written something meanwhile."""
    if read_state(tx, group) == before:
        write_state(tx, group, after)


def _firing(group: str, member: str, since: float) -> Signal:
    project = group.rpartition("/")[0]
    labels = {GROUP_LABEL: group, "name": member, "compose_project": project}
    return firing(Source.FAILOVER, NAME, labels, since, f"the fail-over group {group} is not as it should be")


def _again(told: Told, now: float) -> Signal:
    """Return the signal as a new occurrence, so that what could not be done is tried once more."""
    told.signal = msgspec.structs.replace(told.signal, starts_at=now)
    told.pause = min(told.pause * 2, TELL_AGAIN_LAST_SECONDS)
    told.again_at = now + told.pause
    return told.signal
