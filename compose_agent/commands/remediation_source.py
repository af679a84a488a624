"""What commands ask the remediation role, or read in its journal themselves while it does not run."""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

import click
import msgspec

from compose_agent.commands.roles import REMEDIATION
from compose_agent.config import Config
from compose_agent.config.general import GeneralSettings
from compose_agent.errors import ComposeAgentError
from compose_agent.typed import from_json
from compose_agent.web.localclient import LocalClient, RoleNotRunning
from remediation.history import ActionRow, Filter, rows
from remediation.journal import look
from remediation.why import Account, explain, gather

T = TypeVar("T")

# A long history is read from disk.
_TIMEOUT_SECONDS = 10.0


class RemediationSource:
    """Asks the running role; only questions are answered without one."""

    def __init__(self, config: Config) -> None:
        general = config.of(GeneralSettings)
        self._client = LocalClient(general.run_dir(), REMEDIATION.name, _TIMEOUT_SECONDS)
        self._state_dir = general.state_dir()
        self._said = False

    def actions(self, wanted: Filter, limit: int) -> list[ActionRow]:
        """Return the latest actions, newest first."""
        query = urlencode({"limit": limit, **msgspec.to_builtins(wanted)})
        try:
            return self._get(f"/v1/actions?{query}", list[ActionRow])
        except RoleNotRunning:
            self._say_that_it_is_down()
        with look(self._state_dir) as view:
            return rows(view, wanted, limit)

    def why(self, word: str, now: float) -> list[Account]:
        """Return what was done about what a word names."""
        try:
            return self._get(f"/v1/why?{urlencode({'word': word})}", list[Account])
        except RoleNotRunning:
            self._say_that_it_is_down()
        with look(self._state_dir) as view:
            return explain(gather(view, word), None, now)

    def tell(self, path: str, why: Sequence[str], **fields: str) -> dict[str, Any]:
        """Have the role do something in the name of this user, and return what it answers."""
        body = {"by": user_name(), "why": " ".join(why), **fields}
        return self._answer("POST", path, msgspec.json.encode(body), dict[str, Any])

    def _get(self, path: str, kind: type[T]) -> T:
        return self._answer("GET", path, None, kind)

    def _answer(self, method: str, path: str, body: bytes | None, kind: type[T]) -> T:
        status, answer = self._client.request(method, path, body)
        try:
            if status != 200:
                raise ComposeAgentError(from_json(answer, dict[str, str])["error"])
            return from_json(answer, kind)
        except (msgspec.DecodeError, KeyError) as error:
            raise ComposeAgentError(
                f"the answer of the role {REMEDIATION.name} ({status}) is not what it should be",
                remedy="see its log, and compare versions with 'compose-agent version'",
            ) from error

    def _say_that_it_is_down(self) -> None:
        if not self._said:
            click.echo("compose-agent: remediation is not running; this is what its journal says", err=True)
        self._said = True


def user_name() -> str:
    """Return who types: under sudo the user behind it."""
    if name := os.environ.get("SUDO_USER"):
        return name
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container, where nobody has a name
        return f"uid {os.getuid()}"
