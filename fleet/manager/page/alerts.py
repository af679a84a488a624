"""The page of alerts: what came, whose it is, and what became of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qs, urlencode
from wsgiref.types import WSGIEnvironment

from compose_agent.dockerd.overview import words
from compose_agent.errors import StateError
from compose_agent.web.response import Response, RouteTable
from fleet.manager.alerts.store import AlertShown, Fate
from fleet.manager.page.frame import Frame
from fleet.manager.principal import Principal, principal_of

PATH = "/alerts"
_MOST = 200
_LEVELS: Mapping[Fate, str] = {
    Fate.WAITING: "warn",
    Fate.DELIVERED: "ok",
    Fate.REJECTED: "bad",
    Fate.REFUSED: "bad",
    Fate.SUPERSEDED: "idle",
    Fate.EXPIRED: "bad",
}


class Shown(Protocol):
    """Gives alerts."""

    def __call__(self, principal: Principal, most: int, state: str = "") -> list[AlertShown]:
        """Return the alerts that exist for somebody, the newest first; raises StateError."""


@dataclass(frozen=True, slots=True)
class Line:
    """One alert in the table."""

    alert: AlertShown
    level: str
    ago: str
    when: str
    labels: Sequence[tuple[str, str]]
    href: str


class AlertsPage:
    """Makes the page of what ``shown`` gives."""

    def __init__(self, frame: Frame, shown: Shown, now: Callable[[], float] = time.time) -> None:
        self._frame = frame
        self._shown = shown
        self._now = now

    def routes(self) -> RouteTable:
        """Return the page."""
        return {PATH: {"GET": self._page}}

    def _page(self, environ: WSGIEnvironment) -> Response:
        query = parse_qs(str(environ.get("QUERY_STRING", "")), errors="replace")
        state = query.get("state", [""])[-1]
        trouble, found = "", []
        try:
            found = self._shown(principal_of(environ), _MOST, state)
        except StateError as error:
            trouble = str(error)
        now = self._now()
        return self._frame.html(
            environ,
            "alerts_live.html" if "fragment" in query else "alerts.html",
            section=PATH,
            lines=[line_of(each, now) for each in found],
            state=state,
            states=list(Fate),
            time=words.clock(now),
            trouble=trouble,
        )


def line_of(alert: AlertShown, now: float) -> Line:
    """Return an alert as it is shown."""
    return Line(
        alert,
        _LEVELS[alert.state],
        f"{words.duration(max(0.0, now - alert.received_at))} ago",
        words.date(alert.received_at),
        [(name, value) for name, value in sorted(alert.labels.items()) if name != "alertname"],
        f"node?{urlencode({'id': alert.node_id}, errors='replace')}" if alert.node_id else "",
    )
