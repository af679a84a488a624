"""What all pages of the manager have in common: the menu, who looks, and that they are live."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIEnvironment

from compose_agent.web.health import HEALTHY_PATH, READY_PATH
from compose_agent.web.page import Pages, relative
from compose_agent.web.response import Response, RouteTable
from fleet.manager.openapi.document import PATH as OPENAPI
from fleet.manager.page.events import EVENTS
from fleet.manager.principal import ANYBODY, LOCAL, principal_of

# In the order in which somebody needs them; what nobody serves is not in the menu.
_MENU = {
    "/": "Nodes",
    "/alerts": "Alerts",
    "/commands": "Commands",
    "/jobs": "Jobs",
    "/configs": "Configuration",
    "/rollouts": "Roll-outs",
    "/audit": "Audit",
    "/tokens": "Tokens",
    "/people": "People",
}
_LINKS = relative(
    {
        "Metrics": "/metrics",
        "Targets": "/api/v1/http_sd",
        "API": OPENAPI,
        "Health": HEALTHY_PATH,
        "Ready": READY_PATH,
    }
)
_NOBODY = frozenset({ANYBODY.name, LOCAL.name})


@dataclass(frozen=True, slots=True)
class Entry:
    """A page in the menu; ``here`` when it is the one that is shown, or one below it."""

    label: str
    href: str
    here: bool


class Frame:
    """Makes the pages of all parts, whose templates extend ``_fleet.html``.

    ``serve`` is told of all of them before the first one is made. All pages stand beside one another, at
    paths of one step: addresses in them are relative, so that a proxy may put the manager under a path.
    """

    def __init__(self) -> None:
        self._pages = Pages(Path(__file__).parent)
        self._served: frozenset[str] = frozenset()

    def serve(self, *tables: RouteTable) -> RouteTable:
        """Return the routes of the pages in ``tables`` together, and of the files that they need."""
        found = {path: methods for table in tables for path, methods in table.items()}
        self._served = frozenset(found)
        return {**found, **self._pages.files()}

    def html(
        self,
        environ: WSGIEnvironment,
        template: str,
        /,
        *,
        status: int = 200,
        headers: Iterable[tuple[str, str]] = (),
        section: str = "",
        **values: Any,
    ) -> Response:
        """Answer with a page that belongs to the menu's page ``section``; ``values`` are the template's."""
        name = principal_of(environ).name
        return self._pages.html(
            environ,
            template,
            status=status,
            headers=headers,
            menu=self._menu(section),
            person="" if name in _NOBODY else name,
            events=EVENTS.lstrip("/"),
            links=_LINKS,
            **values,
        )

    def _menu(self, section: str) -> list[Entry]:
        served = (item for item in _MENU.items() if item[0] in self._served)
        return [Entry(label, path.lstrip("/") or "./", path == section) for path, label in served]
