from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.commands.program import Agent, agents


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Callable[..., Agent]]:
    """Start the real program: ``agent("run", config="log.level: debug")``."""
    yield from agents(tmp_path)
