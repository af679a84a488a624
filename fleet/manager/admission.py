"""Who may come in as an agent."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from compose_agent.errors import ConfigError, Problem
from fleet.manager.model import FREE, Pass
from fleet.manager.people.directory import Directory
from fleet.manager.people.model import Kind

logger = logging.getLogger(__name__)

# Below this a token can be guessed.
_LEAST_CHARACTERS = 16
_SCHEME = "bearer "


class Admission(Protocol):
    """Decides about an agent by what its request carries."""

    def admit(self, authorization: str, certificate: bytes) -> Pass | None:
        """Return what the agent comes in with, None if it may not.

        ``authorization`` is the header, ``certificate`` the verified one of the connection in DER, or empty.
        """


class Everybody:
    """For trying it out on one machine."""

    def admit(self, authorization: str, certificate: bytes) -> Pass | None:
        """Let everybody in."""
        return FREE


class FirstOf:
    """Asks several, one after the other."""

    def __init__(self, admissions: Sequence[Admission]) -> None:
        self._admissions = admissions

    def admit(self, authorization: str, certificate: bytes) -> Pass | None:
        """Return the first pass that there is."""
        passes = (each.admit(authorization, certificate) for each in self._admissions)
        return next((found for found in passes if found), None)


class JoinTokens:
    """Tokens of the manager that are for joining."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def admit(self, authorization: str, certificate: bytes) -> Pass | None:
        """Return the pass of a token that is not over."""
        token = self._directory.valid(_bearer(authorization), Kind.JOIN)
        return Pass(token.scope.environments, token=token.id) if token else None


class TokenFile:
    """Tokens, one on each line; blank lines and those that begin with # say nothing.

    Behind a token may stand the environments of the agents that come with it. The constructor raises
    ConfigError for a wrong file; later a wrong one keeps the tokens before it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark = self._stat()
        self._tokens = _read(path)

    def admit(self, authorization: str, certificate: bytes) -> Pass | None:
        """Return the pass of one of the tokens."""
        self._refresh()
        given = _bearer(authorization).encode("utf-8", "replace")
        # All are compared, each in constant time: how long it takes tells nothing.
        found = [each for each in self._tokens if hmac.compare_digest(given, each.text)]
        return Pass(found[0].environments) if found else None

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


@dataclass(frozen=True, slots=True)
class _Line:
    text: bytes
    environments: frozenset[str] | None


def _bearer(authorization: str) -> str:
    given = authorization.strip()
    return given[len(_SCHEME) :].strip() if given[: len(_SCHEME)].lower() == _SCHEME else ""


def _read(path: Path) -> tuple[_Line, ...]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(Problem(str(path), f"cannot be read: {error}")) from error
    found = []
    for number, line in enumerate(lines, 1):
        token, *environments = line.split() or [""]
        if not token or token.startswith("#"):
            continue
        if len(token) < _LEAST_CHARACTERS:
            what = f"a token of {len(token)} characters, expected at least {_LEAST_CHARACTERS}"
            raise ConfigError(Problem(f"{path}:{number}", what))
        found.append(_Line(token.encode(), frozenset(environments) or None))
    if not found:
        raise ConfigError(Problem(str(path), "holds no token, expected one on each line"))
    return tuple(found)
