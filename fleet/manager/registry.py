"""The nodes in memory: one lock, no I/O."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from fleet.manager.liveness import CONFLICT_INTERVALS, Verdict, is_settled, judge
from fleet.manager.model import ALIVE, Description, Node, Peer, State, Transition
from fleet.opamp.uid import parse_uid

T = TypeVar("T")

# Ten thousand are planned for; so many of usual size take about a gigabyte.
MOST_NODES = 50_000
# When a node was last heard is written so often, unless there is more to write: each heartbeat of ten
# thousand nodes would be gigabytes a day, to know at a restart what the next heartbeat says anyhow.
HEARD_EVERY_SECONDS = 300.0
# Requests that were under way together arrive within this time.
ECHO_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Clocks:
    """Where times come from: ``monotonic`` measures silence, ``wall`` is what people read."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time


class Registry:
    """Every node by uid; ``note`` is called, with the lock held, for each change of a state.

    ``changed`` and ``removed`` collect the uids that the store has not yet written.
    """

    def __init__(
        self, note: Callable[[Transition], None], clocks: Clocks | None = None, most: int = MOST_NODES
    ) -> None:
        self._note = note
        self._most = most
        self._clocks = clocks or Clocks()
        self._lock = threading.RLock()
        self._nodes: dict[bytes, Node] = {}
        self._named: defaultdict[str, set[bytes]] = defaultdict(set)
        self._states: Counter[State] = Counter()
        self._expected: tuple[str, ...] = ()
        self._swept_at = self._clocks.monotonic()
        self.ended = 0  # connections, since the start
        self.changed: set[bytes] = set()
        self.removed: set[bytes] = set()

    # What is read.

    def read(self, work: Callable[[Iterable[Node]], T]) -> T:
        """Return what ``work`` makes of all nodes; it must be quick and keep none of them."""
        with self._lock:
            return work(self._nodes.values())

    def get(self, uid: bytes) -> Node | None:
        """Return the node with a uid."""
        with self._lock:
            return self._nodes.get(uid)

    def find(self, name: str) -> list[Node]:
        """Return the nodes that are called so, by node id or uid."""
        with self._lock:
            uids = set(self._named.get(name, ()))
            with suppress(ValueError):
                uids.add(parse_uid(name))
            return [self._nodes[uid] for uid in sorted(uids) if uid in self._nodes]

    def count(self) -> dict[State, int]:
        """Return how many nodes there are in each state, those that were never seen as well."""
        with self._lock:
            return {state: self._states[state] for state in State} | {
                State.NEVER_SEEN: len(self.never_seen())
            }

    def never_seen(self) -> list[str]:
        """Return the expected node ids with which no agent has come."""
        with self._lock:
            return [name for name in self._expected if not self._named.get(name)]

    def is_full(self, uid: bytes) -> bool:
        """Tell whether there is no room for a node with this uid."""
        with self._lock:
            return len(self._nodes) >= self._most and uid not in self._nodes

    # What changes it.

    def expect(self, names: Iterable[str]) -> None:
        """Say which node ids there should be."""
        self._expected = tuple(names)

    def restore(self, nodes: Iterable[Node]) -> None:
        """Take nodes as a store has them: they stand as they stood, and silence counts from now on."""
        with self._lock:
            for node in nodes:
                node.heard_at = node.turned_at = self._clocks.monotonic()
                node.left = node.state is State.OFFLINE
                node.gone = node.reason if node.left else ""
                self._nodes[node.uid] = node
                self._states[node.state] += 1
                self._named[node.node_id].add(node.uid)

    def hear(self, uid: bytes, peer: Peer, *, described: bool) -> Node:
        """Return the node that speaks over ``peer``, made if it is new; ``described``: it says who it is."""
        with self._lock:
            node = self._nodes.get(uid) or self._add(uid)
            now = self._clocks.monotonic()
            # An agent that polls may send what it had in hand behind its goodbye, and is gone all the same.
            if not (node.left and not peer.lasting and not described and now - node.heard_at < ECHO_SECONDS):
                node.gone, node.left = "", False
            node.last_heard, node.heard_at = self._clocks.wall(), now
            node.transport, node.peer_address = peer.transport, peer.address
            self._take_over(node, peer)
            if described or now - node.written_at >= HEARD_EVERY_SECONDS:
                self.mark(node)
            return node

    def mark(self, node: Node) -> None:
        """Have the store write a node."""
        with self._lock:
            self.changed.add(node.uid)
            node.written_at = self._clocks.monotonic()

    def describe(self, node: Node, description: Description) -> None:
        """Take what an agent says of itself; a former agent of the same host and name is forgotten."""
        with self._lock:
            self._unname(node)
            node.description = description
            self._named[description.node_id].add(node.uid)
            self._settle_names(node)

    def conflict(self, node: Node) -> None:
        """Note that a second agent uses the node's uid."""
        with self._lock:
            node.conflict_until = self._clocks.monotonic() + node.interval * CONFLICT_INTERVALS

    def resolve(self, uid: bytes) -> None:
        """Note that the second agent has taken a uid of its own."""
        with self._lock:
            if node := self._nodes.get(uid):
                node.conflict_until = 0.0
                self.settle(node)

    def leave(self, node: Node, reason: str) -> None:
        """Note that an agent has said goodbye."""
        with self._lock:
            node.gone, node.left, node.peer = reason, True, None
            self.settle(node)

    def lose(self, peer: Peer, reason: str, *, clean: bool) -> None:
        """Note that a connection has ended, with a goodbye if ``clean``."""
        with self._lock:
            self.ended += 1
            for uid in peer.uids:
                node = self._nodes.get(uid)
                if node and node.peer is peer:
                    node.peer = None
                    if not node.left:
                        node.gone, node.left = reason, clean
                    self.settle(node)

    def disable(self, node: Node, *, disabled: bool) -> None:
        """Switch a node off at the manager, or on again."""
        with self._lock:
            node.disabled = disabled
            self.settle(node)
            self.changed.add(node.uid)

    def forget(self, node: Node) -> None:
        """Remove a node."""
        with self._lock:
            self._unname(node)
            self._states[node.state] -= 1
            del self._nodes[node.uid]
            self.changed.discard(node.uid)
            self.removed.add(node.uid)

    def settle(self, node: Node) -> None:
        """Judge a node anew."""
        with self._lock:
            self._set(node, judge(node, self._clocks.monotonic(), self._rival(node)))

    def sweep(self, every: float) -> None:
        """Judge all nodes; called each ``every`` seconds.

        A manager that stood still itself (suspended, starved) has heard nobody meanwhile, and blames nobody.
        """
        with self._lock:
            now = self._clocks.monotonic()
            missed = max(0.0, now - self._swept_at - 2 * every)
            self._swept_at = now
            for node in list(self._nodes.values()):
                if node.uid not in self._nodes:
                    continue  # a former self of one before it
                node.heard_at += missed
                node.turned_at += missed
                if node.state is State.OFFLINE and node.description is None:
                    self.forget(node)  # it never said who it is, and will not any more
                    continue
                if is_settled(node, now):
                    continue
                self._set(node, judge(node, now, self._rival(node)))
                if node.rival:
                    self._settle_names(node)

    def taken(self) -> tuple[list[Node], list[bytes]]:
        """Return the nodes that have changed and the uids that went since the last call."""
        with self._lock:
            nodes = [self._nodes[uid] for uid in self.changed if uid in self._nodes]
            removed = [uid for uid in self.removed if uid not in self._nodes]  # it may have come back
            self.changed.clear()
            self.removed.clear()
            return nodes, removed

    def lock(self) -> threading.RLock:
        """Return the lock, for who changes several fields of a node."""
        return self._lock

    def _add(self, uid: bytes) -> Node:
        now = self._clocks.wall()
        node = Node(uid, state=State.NEVER_SEEN, since=now, first_heard=now)
        self._nodes[uid] = node
        self._named[node.node_id].add(uid)
        self._states[node.state] += 1
        return node

    def _take_over(self, node: Node, peer: Peer) -> None:
        if peer.lasting and node.uid not in peer.uids:
            peer.uids.add(node.uid)
            node.peer = peer
        elif not peer.lasting:
            node.peer = None

    def _unname(self, node: Node) -> None:
        uids = self._named[node.node_id]
        uids.discard(node.uid)
        if not uids:
            del self._named[node.node_id]

    def _settle_names(self, node: Node) -> None:
        """Find out who else has the node's name: a former self goes, somebody who was first stays first."""
        node.rival = b""
        for uid in list(self._named[node.node_id] - {node.uid}):
            other = self._nodes[uid]
            if other.environment != node.environment:
                continue  # each environment has names of its own, and knows nothing of another's
            if other.state is State.OFFLINE and self._same_host(node, other):
                self.forget(other)
            elif other.state in ALIVE and not other.rival:
                node.rival = uid

    def _rival(self, node: Node) -> Node | None:
        rival = self._nodes.get(node.rival) if node.rival else None
        return rival if rival and rival.state in ALIVE else None

    @staticmethod
    def _same_host(one: Node, other: Node) -> bool:
        if one.description is None or other.description is None:
            return False
        mine, theirs = one.description, other.description
        return bool(mine.host_id) and (mine.host_id, mine.service) == (theirs.host_id, theirs.service)

    def _set(self, node: Node, verdict: Verdict) -> None:
        if node.state is not verdict.state:
            before, node.state, node.since = node.state, verdict.state, self._clocks.wall()
            self._states[before] -= 1
            self._states[verdict.state] += 1
            self.changed.add(node.uid)
            self._note(Transition(node.uid, node.node_id, node.since, before, verdict.state, verdict.reason))
        node.reason = verdict.reason
