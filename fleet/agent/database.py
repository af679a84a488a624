"""The agent's database, ``agent.db`` in the state directory; each part brings its own tables."""

from __future__ import annotations

from pathlib import Path

from compose_agent.statedb import StateFile
from fleet.database import PARTS, Database

_LOSS = "the agent then forgets commands that it was given, and may be given some of them again"


def agent_database(state_dir: Path) -> Database:
    """Open ``agent.db``; raises InstanceRunning and StateError."""
    return Database(StateFile(state_dir, "agent", "agent", _LOSS, [PARTS]))
