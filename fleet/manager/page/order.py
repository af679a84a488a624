"""The form in which somebody gives a command, and the buttons that do so with one press."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs, urlencode
from wsgiref.types import WSGIEnvironment

import msgspec

from compose_agent.config.kinds import Detail
from compose_agent.errors import StateError
from compose_agent.typed import convert
from compose_agent.web.formguard import FormGuard
from compose_agent.web.response import Response, RouteTable, body_of
from fleet.envelopes.verbs import Verb
from fleet.manager.commands.api import CommandsApi
from fleet.manager.commands.asked import DEFAULT_SECONDS, Asked, NoNode
from fleet.manager.commands.model import Issued
from fleet.manager.page.frame import Frame
from fleet.manager.page.work import COMMAND, COMMANDS
from fleet.manager.principal import Role, principal_of

ORDER = "/order"
_FIELDS = ("node", "selector", "verb", "target", "arguments", "seconds", "dry_run")
# More than all arguments of a command together may have.
_LONGEST = 100_000


class OrderPages:
    """Gives commands; who may not, and forged forms, are turned away before they get to ``POST``."""

    def __init__(self, frame: Frame, commands: CommandsApi, forms: FormGuard) -> None:
        self._frame = frame
        self._commands = commands
        self._forms = forms

    def routes(self) -> RouteTable:
        """Return the page, and where its form goes."""
        return {ORDER: {"GET": self._show, "POST": self._give}}

    def _show(self, environ: WSGIEnvironment) -> Response:
        return self._form(environ, _fields(str(environ.get("QUERY_STRING", ""))))

    def _give(self, environ: WSGIEnvironment) -> Response:
        fields = _fields(body_of(environ).decode("utf-8", "replace"))
        try:
            issued = self._commands.give(_asked(fields), environ)
        except NoNode as error:
            return self._form(environ, fields, str(error), 404)
        except Detail as error:
            return self._form(environ, fields, str(error), 400)
        except StateError as error:
            return self._form(environ, fields, str(error), 503)
        # The browser asks for the page anew, so that reloading does not press again.
        return Response(303, b"", headers=(("Location", f".{_where(issued)}"),))

    def _form(
        self, environ: WSGIEnvironment, fields: Mapping[str, str], problem: str = "", status: int = 200
    ) -> Response:
        may = principal_of(environ).may(Role.OPERATOR)
        out = self._forms.give(environ) if may else None
        return self._frame.html(
            environ,
            "order.html",
            status=status,
            headers=out.headers if out else (),
            section=COMMANDS,
            token=out.token if out else "",
            given={**dict.fromkeys(_FIELDS, ""), "seconds": f"{DEFAULT_SECONDS:g}", **fields},
            verbs=[each.value for each in Verb],
            problem=problem,
        )


def _fields(query: str) -> dict[str, str]:
    found = parse_qs(query[:_LONGEST], errors="replace")
    return {key: found[key][-1].strip() for key in _FIELDS if key in found}


def _asked(fields: Mapping[str, str]) -> Asked:
    """Return what a form asks for; Detail says what is wrong with it."""
    given: dict[str, object] = {key: text for key, text in fields.items() if text and key != "node"}
    given["arguments"] = _arguments(fields.get("arguments", ""))
    if node := fields.get("node"):
        given["nodes"] = [node]
    try:
        return convert(given, Asked, strict=False)
    except msgspec.ValidationError as error:
        raise Detail(str(error)) from error


def _arguments(text: str) -> dict[str, str]:
    """Return the arguments in lines of ``name=value``."""
    found = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not name:
            raise Detail(f"'{line}' is no argument: expected name=value, one on each line")
        if name in found:
            raise Detail(f"the argument {name} is there twice")
        found[name] = value
    return found


def _where(issued: Sequence[Issued]) -> str:
    return f"{COMMAND}?{urlencode({'id': issued[0].id})}" if len(issued) == 1 else COMMANDS
