"""Makes commands: one for each node, on disk before anybody hears of them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from compose_agent import __version__
from compose_agent.failpoints import failpoint
from compose_agent.web.propagation import outgoing_headers
from fleet.database import Database
from fleet.envelopes.command import CAPABILITY, Command, Stage
from fleet.envelopes.verbs import Verb
from fleet.manager.clock import SteadyClock
from fleet.manager.commands.asked import Order
from fleet.manager.commands.dispatcher import Dispatcher
from fleet.manager.commands.model import Issued
from fleet.manager.commands.store import CommandStore, rows_of
from fleet.manager.model import ALIVE, Node
from fleet.opamp.uid import new_uid, uid_text

_VERSION = "version"


Also = Callable[[sqlite3.Connection, Sequence[Issued]], None]


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose commands they are, of which trace, and of which job, if any."""

    actor: str
    traceparent: str
    job: str = ""


class Issuer:
    """Gives commands to the dispatcher."""

    def __init__(
        self, database: Database, store: CommandStore, dispatcher: Dispatcher, clock: SteadyClock
    ) -> None:
        self._database = database
        self._store = store
        self._dispatcher = dispatcher
        self._clock = clock

    def issue(self, order: Order, nodes: Sequence[Node], actor: str) -> list[Issued]:
        """Return the commands for nodes, on disk; raises StateError, and then there are none."""
        return self.issue_all(
            [(order, node) for node in nodes],
            Origin(actor, outgoing_headers().get("traceparent") or new_traceparent()),
            lambda _tx, _issued: None,
        )

    def issue_all(self, pairs: Sequence[tuple[Order, Node]], origin: Origin, also: Also) -> list[Issued]:
        """Return a command for each pair, on disk together with what ``also`` writes in the transaction."""
        issued = [self._made(order, node, origin) for order, node in pairs]
        rows = rows_of(issued)

        def work(tx: sqlite3.Connection) -> None:
            self._store.put_in(tx, rows)
            also(tx, issued)

        failpoint("dispatch.before-issue")
        self._database.write(work)
        failpoint("dispatch.after-issue")
        self._dispatcher.added(each for each in issued if not each.is_over)
        return issued

    def _made(self, order: Order, node: Node, origin: Origin) -> Issued:
        now = self._clock.now()
        arguments = dict(order.arguments)
        if order.verb is Verb.UPGRADE_CHECK:
            arguments.setdefault(_VERSION, __version__)
        command = Command(
            id=uid_text(new_uid()),
            verb=order.verb.value,
            target=order.target,
            arguments=arguments,
            issued=now,
            deadline=now + order.seconds,
            actor=origin.actor,
            dry_run=order.dry_run,
            traceparent=origin.traceparent,
        )
        issued = Issued(
            command=command,
            uid=node.uid,
            node_id=node.node_id,
            environment=node.environment,
            job=origin.job,
            changed=now,
        )
        if self._dispatcher.reaches(node.uid):
            return issued.at(Stage.SENT, now)
        if node.state in ALIVE and node.peer is not None and CAPABILITY not in node.custom:
            return issued.at(Stage.REFUSED, now, "its agent takes no commands")
        return issued


def new_traceparent() -> str:
    """Return the head of a new trace (W3C Trace Context)."""
    return f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"
