"""``/api/v1/configs`` and ``/api/v1/rollouts``."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated
from urllib.parse import parse_qs
from wsgiref.types import WSGIEnvironment

from msgspec import Meta

from compose_agent.config.kinds import Detail
from compose_agent.web.compression import compressed
from compose_agent.web.response import Response, body_of
from fleet.manager import api
from fleet.manager.configs import documents
from fleet.manager.configs.model import Version
from fleet.manager.configs.requests import PushRequest, read_push
from fleet.manager.configs.rollouts import RolloutRefused, Rollouts
from fleet.manager.configs.view import ConfigsView, sees
from fleet.manager.openapi import Operation, Parameter
from fleet.manager.openapi.answers import answered, explained, problem
from fleet.manager.openapi.operation import Answer
from fleet.manager.people.audit import tell
from fleet.manager.principal import Role, principal_of
from fleet.manager.registry import Registry
from fleet.manager.sight import Sight

CONFIGS = "/api/v1/configs"
ROLLOUTS = "/api/v1/rollouts"
_LAYER = f"{CONFIGS}/layers/{{scope}}/{{name}}"
_DEEDS = {
    "pause": "Release no further batch of a roll-out; the last one is still watched",
    "resume": "Go on with a roll-out: with the next batch, or with everybody who was not selected",
    "revert": "Take a version back from everybody who has it",
}
_NUMBER = Annotated[int, Meta(ge=0, le=10**9)]
_VERSIONS = (
    Parameter("from", "The version before, 0 for nothing; else the one before the other", _NUMBER),
    Parameter("to", "The version after; else the newest", _NUMBER),
)
_NO_LAYER = {404: "There is no such layer, or no such version of it."}
_NO_ROLLOUT = {404: "There is no such roll-out."}


_answer = partial(explained, also={RolloutRefused: 409})


class ConfigsApi:
    """Answers questions about layers and roll-outs, and changes them for administrators.

    Somebody who sees some environments only has the layers whose scope names one of them.
    """

    def __init__(self, registry: Registry, view: ConfigsView, rollouts: Rollouts) -> None:
        self._registry = registry
        self._view = view
        self._rollouts = rollouts

    def operations(self) -> Sequence[Operation]:
        """Return what can be asked."""
        return [*self._of_layers(), *self._of_rollouts(), self._of_nodes()]

    def _of_layers(self) -> list[Operation]:
        return [
            _get(CONFIGS, "Layers of configuration", self._list, documents.LayerRows),
            Operation(
                method="POST",
                path=CONFIGS,
                summary="Set a layer, or take it away, and begin to bring that to agents",
                answer=_answer(self._push),
                gives=documents.Pushed,
                status=202,
                takes=PushRequest,
                refuses={409: "A roll-out of this layer has not ended."},
                needs=Role.ADMIN,
            ),
            _get(_LAYER, "Versions of a layer", self._versions, documents.VersionTexts, _NO_LAYER),
            Operation(
                method="GET",
                path=f"{_LAYER}/diff",
                summary="How two versions of a layer differ",
                answer=_answer(self._diff),
                gives=documents.Difference,
                parameters=_VERSIONS,
                refuses=_NO_LAYER,
            ),
        ]

    def _of_rollouts(self) -> list[Operation]:
        one = f"{ROLLOUTS}/{{rollout}}"
        return [
            _get(ROLLOUTS, "Roll-outs, the newest first", self._list_rollouts, documents.RolloutRows),
            _get(one, "A roll-out with all its agents", self._one_rollout, documents.RolloutRow, _NO_ROLLOUT),
            *(
                Operation(
                    method="POST",
                    path=f"{one}/{deed}",
                    summary=summary,
                    answer=_answer(partial(self._turn, deed)),
                    gives=documents.RolloutRow,
                    refuses={**_NO_ROLLOUT, 409: "That does not go with how the roll-out stands."},
                    needs=Role.ADMIN,
                )
                for deed, summary in _DEEDS.items()
            ),
        ]

    def _of_nodes(self) -> Operation:
        return Operation(
            method="GET",
            path=f"{CONFIGS}/nodes/{{node}}",
            summary="How the configuration of a node stands, by node id or uid",
            answer=_answer(self._node),
            gives=documents.NodeConfig,
            refuses=api.NOT_ONE,
            problems=api.AMBIGUOUS,
        )

    # Layers.

    def _list(self, environ: WSGIEnvironment, _names: Mapping[str, str]) -> Response:
        return answered(200, documents.LayerRows(self._view.layers(principal_of(environ))))

    def _push(self, environ: WSGIEnvironment, _names: Mapping[str, str]) -> Response:
        who, push = principal_of(environ), read_push(body_of(environ))
        if not sees(who, push.key.scope):
            own = ", ".join(sorted(who.environments or ()))
            raise Detail(f"this reaches other environments than yours: expected environment= one of {own}")
        environments = filter(None, [push.key.scope.environment])
        tell(environ, *environments, layer=f"{push.key.scope}/{push.key.name}")
        new = Version(0, push.key, 0, push.body, push.kind, time.time(), who.name, push.note)
        version, rollout = self._rollouts.push(new, push.plan)
        tell(environ, rollout=str(rollout.id))
        return answered(202, documents.Pushed(version.number, self._view.row(rollout)))

    def _versions(self, environ: WSGIEnvironment, names: Mapping[str, str]) -> Response:
        versions = self._seen_versions(environ, names)
        if not versions:
            return _no_layer(names)
        found = documents.VersionTexts([documents.version_text(one) for one in versions])
        return compressed(answered(200, found), environ)

    def _diff(self, environ: WSGIEnvironment, names: Mapping[str, str]) -> Response:
        versions = {one.number: one for one in self._seen_versions(environ, names)}
        if not versions:
            return _no_layer(names)
        after = _number(environ, "to", max(versions))
        before = _number(environ, "from", max(0, after - 1))
        if after not in versions or (before and before not in versions):
            absent = before if after in versions else after
            return problem(404, f"{names['name']} has no version {absent}")
        return compressed(answered(200, documents.difference(versions.get(before), versions[after])), environ)

    def _seen_versions(self, environ: WSGIEnvironment, names: Mapping[str, str]) -> list[Version]:
        return self._view.versions(principal_of(environ), names["scope"], names["name"])

    # Roll-outs.

    def _list_rollouts(self, environ: WSGIEnvironment, _names: Mapping[str, str]) -> Response:
        found = self._view.rollouts(principal_of(environ))
        return compressed(answered(200, documents.RolloutRows(found)), environ)

    def _one_rollout(self, environ: WSGIEnvironment, names: Mapping[str, str]) -> Response:
        if (found := self._view.rollout(principal_of(environ), names["rollout"])) is None:
            return _no_rollout(names)
        return compressed(answered(200, self._view.row(found, whole=True)), environ)

    def _turn(self, deed: str, environ: WSGIEnvironment, names: Mapping[str, str]) -> Response:
        who = principal_of(environ)
        if (rollout := self._view.rollout(who, names["rollout"])) is None:
            return _no_rollout(names)
        tell(environ, *filter(None, [rollout.key.scope.environment]), rollout=str(rollout.id))
        match deed:
            case "pause":
                self._rollouts.pause(rollout)
            case "resume":
                self._rollouts.resume(rollout)
            case _:
                self._rollouts.revert(rollout, f"taken back by {who.name}")
        return answered(200, self._view.row(rollout))

    # Nodes.

    def _node(self, environ: WSGIEnvironment, names: Mapping[str, str]) -> Response:
        found = Sight(self._registry, principal_of(environ)).find(names["node"])
        if len(found) != 1:
            return api.not_one(names["node"], found)
        return compressed(answered(200, self._view.node(found[0])), environ)


def _get(
    path: str, summary: str, answer: Answer, gives: type, refuses: Mapping[int, str] | None = None
) -> Operation:
    return Operation(
        method="GET",
        path=path,
        summary=summary,
        answer=_answer(answer),
        gives=gives,
        refuses=refuses or {},
    )


def _number(environ: WSGIEnvironment, name: str, default: int) -> int:
    text = parse_qs(str(environ.get("QUERY_STRING", ""))).get(name, [""])[-1]
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 11 else default


def _no_layer(names: Mapping[str, str]) -> Response:
    return problem(404, f"there is no layer {names['name']} for {names['scope']}")


def _no_rollout(names: Mapping[str, str]) -> Response:
    return problem(404, f"there is no roll-out {names['rollout']}")
