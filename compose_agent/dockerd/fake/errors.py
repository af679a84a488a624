"""What the fake Engine answers when it cannot do what was asked."""

from __future__ import annotations

from compose_agent.errors import ComposeAgentError


class ApiError(ComposeAgentError):
    """An answer of 304 or above, with the Engine's own words (304 has none)."""

    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(message)
        self.status = status


def not_modified() -> ApiError:
    """Return the answer to a start of what runs and a stop of what does not."""
    return ApiError(304)


class EngineEnded(ConnectionError):
    """The Engine has ended while a request was under way; its connection is closed without a word."""
