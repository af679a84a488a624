"""Commands as a part of the agent's role: what is put together, started and stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fleet.agent.commands.clock import ManagerClock
from fleet.agent.commands.handler import Handler
from fleet.agent.commands.journal import Journal
from fleet.agent.commands.keeper import Keeper
from fleet.agent.commands.verbs.contract import Verb
from fleet.agent.custom import Custom
from fleet.database import Database
from fleet.envelopes.command import CAPABILITY


class Commands:
    """Registers with ``custom``; ``allowed`` gives the names of the commands that are carried out, or none.

    Raises StateError when the journal cannot be used.
    """

    def __init__(
        self,
        database: Database,
        custom: Custom,
        verbs: Mapping[str, Verb],
        allowed: Callable[[], tuple[str, ...]],
    ) -> None:
        clock = ManagerClock()
        self._handler = Handler(custom.send, clock)
        self._keeper = Keeper(
            Journal(database), verbs, clock, self._handler.report, lambda: allowed() or None
        )
        custom.register(CAPABILITY, self._handler)

    def start(self) -> None:
        """Go on with what was accepted before, and take what comes."""
        self._keeper.start()
        self._handler.start(self._keeper)

    def stop(self) -> None:
        """Take and begin nothing more."""
        self._handler.stop()
        self._keeper.stop()
