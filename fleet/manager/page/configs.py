"""The pages of configuration: layers, one with its versions, roll-outs, one with its agents."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode
from wsgiref.types import WSGIEnvironment

from compose_agent.dockerd.overview import words
from compose_agent.errors import StateError
from compose_agent.web.response import Response, RouteTable
from fleet.manager.configs import documents
from fleet.manager.configs.documents import LayerRow, MemberRow, RolloutRow
from fleet.manager.configs.model import MemberState, Phase, Version
from fleet.manager.configs.view import ConfigsView
from fleet.manager.page.frame import Frame
from fleet.manager.principal import principal_of

CONFIGS, ROLLOUTS = "/configs", "/rollouts"
# The worst of them; the API has all.
_MOST_MEMBERS = 500
_PHASES: Mapping[Phase, str] = {
    Phase.RUNNING: "warn",
    Phase.PAUSED: "warn",
    Phase.HELD: "warn",
    Phase.REVERTING: "bad",
    Phase.REVERTED: "bad",
    Phase.DONE: "ok",
}
_MEMBERS: Mapping[MemberState, str] = {
    MemberState.FAILED: "bad",
    MemberState.RELEASED: "warn",
    MemberState.SKIPPED: "warn",
    MemberState.REVERTED: "idle",
    MemberState.WAITING: "idle",
    MemberState.PASSED: "ok",
}
_RANKS = {state: rank for rank, state in enumerate(_MEMBERS)}
# How lines of a diff that begin like this are shown; its first two name the versions.
_LINES = {"+++ ": "place", "--- ": "place", "@": "place", "+": "add", "-": "remove"}


@dataclass(frozen=True, slots=True)
class LayerLine:
    """A layer in the table."""

    row: LayerRow
    since: str
    href: str


@dataclass(frozen=True, slots=True)
class VersionLine:
    """A version in the history of its layer; ``shown`` when the difference below is about it."""

    version: Version
    at: str
    size: str
    href: str
    shown: bool


@dataclass(frozen=True, slots=True)
class RolloutLine:
    """A roll-out in the table."""

    row: RolloutRow
    level: str
    at: str
    agents: str
    layer: str
    href: str


@dataclass(frozen=True, slots=True)
class MemberLine:
    """An agent in a roll-out."""

    row: MemberRow
    level: str
    href: str


class ConfigsPage:
    """Makes the pages of what ``view`` has for who asks."""

    def __init__(self, frame: Frame, view: ConfigsView, now: Callable[[], float] = time.time) -> None:
        self._frame = frame
        self._view = view
        self._now = now

    def routes(self) -> RouteTable:
        """Return the pages."""
        return {
            CONFIGS: {"GET": self._layers},
            "/config": {"GET": self._layer},
            ROLLOUTS: {"GET": self._rollouts},
            "/rollout": {"GET": self._rollout},
        }

    def _layers(self, environ: WSGIEnvironment) -> Response:
        lines = [layer_line(row) for row in self._view.layers(principal_of(environ))]
        return self._page(environ, "configs", CONFIGS, lines=lines)

    def _layer(self, environ: WSGIEnvironment) -> Response:
        query = _query(environ)
        scope, name = query("scope", "all"), query("name")
        try:
            versions = self._view.versions(principal_of(environ), scope, name)
        except StateError as error:
            return self._page(environ, "missing_config", CONFIGS, status=503, what=str(error))
        if not versions:
            what = f"There is no layer {name} for {scope}."
            return self._page(environ, "missing_config", CONFIGS, status=404, what=what)
        shown = next((one for one in versions if str(one.number) == query("to")), versions[0])
        before = next((one for one in versions if one.number == shown.number - 1), None)
        return self._page(
            environ,
            "config",
            CONFIGS,
            scope=scope,
            name=name,
            shown=shown,
            lines=[version_line(one, shown=one is shown) for one in versions],
            diff=[(_kind(text), text) for text in documents.difference(before, shown).diff],
        )

    def _rollouts(self, environ: WSGIEnvironment) -> Response:
        lines = [rollout_line(row) for row in self._view.rollouts(principal_of(environ))]
        return self._page(environ, "rollouts", ROLLOUTS, lines=lines)

    def _rollout(self, environ: WSGIEnvironment) -> Response:
        number = _query(environ)("id")
        found = self._view.rollout(principal_of(environ), number)
        if found is None:
            what = f"There is no roll-out {number}."
            return self._page(environ, "missing_config", ROLLOUTS, status=404, what=what)
        row = self._view.row(found, whole=True)
        members = sorted(row.members, key=lambda one: (_RANKS[one.state], one.batch, one.node_id))
        return self._page(
            environ,
            "rollout",
            ROLLOUTS,
            line=rollout_line(row),
            members=[member_line(one) for one in members[:_MOST_MEMBERS]],
        )

    def _page(
        self, environ: WSGIEnvironment, page: str, section: str, /, *, status: int = 200, **values: Any
    ) -> Response:
        live = "fragment" in parse_qs(str(environ.get("QUERY_STRING", "")))
        template = f"{page}_live.html" if live and status == 200 else f"{page}.html"
        moment = words.clock(self._now())
        return self._frame.html(environ, template, status=status, section=section, time=moment, **values)


def layer_line(row: LayerRow) -> LayerLine:
    """Return a layer as it is shown."""
    return LayerLine(row, words.date(row.at) if row.at else words.DASH, _layer_href(row.scope, row.name))


def version_line(version: Version, *, shown: bool) -> VersionLine:
    """Return a version as it is shown."""
    size = "taken away" if version.body is None else f"{len(version.body.splitlines())} lines"
    href = _layer_href(str(version.key.scope), version.key.name, to=str(version.number))
    return VersionLine(version, words.date(version.at), size, href, shown)


def rollout_line(row: RolloutRow) -> RolloutLine:
    """Return a roll-out as it is shown."""
    return RolloutLine(
        row=row,
        level=_PHASES[row.phase],
        at=words.date(row.at),
        agents=", ".join(f"{count} {state}" for state, count in row.agents.items() if count) or words.DASH,
        layer=_layer_href(row.scope, row.name),
        href=f"rollout?id={row.id}",
    )


def member_line(row: MemberRow) -> MemberLine:
    """Return an agent as it is shown."""
    return MemberLine(row, _MEMBERS[row.state], f"node?{urlencode({'id': row.uid})}")


def _kind(line: str) -> str:
    return next((kind for start, kind in _LINES.items() if line.startswith(start)), "")


def _layer_href(scope: str, name: str, **more: str) -> str:
    return f"config?{urlencode({'scope': scope, 'name': name, **more}, errors='replace')}"


def _query(environ: WSGIEnvironment) -> Callable[..., str]:
    given = parse_qs(str(environ.get("QUERY_STRING", "")), errors="replace")
    return lambda name, default="": given.get(name, [default])[-1]
