"""Who may join as an agent: whoever shows one of the tokens in a file."""

from __future__ import annotations

import hmac
import logging
from pathlib import Path
from typing import Protocol

from compose_agent.errors import ConfigError, Problem

logger = logging.getLogger(__name__)

# Below this a token can be guessed.
_LEAST_CHARACTERS = 16
_SCHEME = "bearer "


class Admission(Protocol):
    """Decides about an agent by the Authorization header of its request."""

    def admits(self, authorization: str) -> bool:
        """Tell whether the agent may join."""


class Everybody:
    """For trying it out on one machine."""

    def admits(self, authorization: str) -> bool:
        """Let everybody in."""
        return True


class TokenFile:
    """Tokens, one on each line; blank lines and those that begin with # say nothing.

    The constructor raises ConfigError for a wrong file; later a wrong one keeps the tokens before it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark = self._stat()
        self._tokens = _read(path)

    def admits(self, authorization: str) -> bool:
        """Tell whether the header is ``Bearer`` with one of the tokens."""
        self._refresh()
        if authorization[: len(_SCHEME)].lower() != _SCHEME:
            return False
        given = authorization[len(_SCHEME) :].strip().encode("utf-8", "replace")
        # All are compared, each in constant time: how long it takes tells nothing.
        return sum(hmac.compare_digest(given, token) for token in self._tokens) > 0

    def _refresh(self) -> None:
        mark = self._stat()
        if mark == self._mark:
            return
        self._mark = mark
        try:
            self._tokens = _read(self._path)
            logger.info("tokens read again", extra={"file": str(self._path)})
        except ConfigError as error:
            logger.error("tokens are wrong, those before stay in force", extra={"error": str(error)})  # noqa: TRY400 - the message says where

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


def _read(path: Path) -> tuple[bytes, ...]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(Problem(str(path), f"cannot be read: {error}")) from error
    found = []
    for number, line in enumerate(lines, 1):
        token = line.strip()
        if not token or token.startswith("#"):
            continue
        if len(token) < _LEAST_CHARACTERS:
            what = f"a token of {len(token)} characters, expected at least {_LEAST_CHARACTERS}"
            raise ConfigError(Problem(f"{path}:{number}", what))
        found.append(token.encode())
    if not found:
        raise ConfigError(Problem(str(path), "holds no token, expected one on each line"))
    return tuple(found)
