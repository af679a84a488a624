"""``/api/v1/configs`` and ``/api/v1/rollouts``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote
from wsgiref.types import WSGIEnvironment

import msgspec

from compose_agent.config.kinds import Detail
from compose_agent.errors import StateError
from compose_agent.web.compression import compressed
from compose_agent.web.response import Handler, Response, RouteTable, body_of
from fleet.manager.configs import documents
from fleet.manager.configs.layers import Layers
from fleet.manager.configs.model import LayerKey, Rollout, Version
from fleet.manager.configs.office import Office
from fleet.manager.configs.requests import read_key, read_push, sees
from fleet.manager.configs.rollouts import RolloutRefused, Rollouts
from fleet.manager.configs.store import ConfigStore
from fleet.manager.principal import Principal, Role, principal_of
from fleet.manager.registry import Registry
from fleet.manager.sight import Sight

CONFIGS = "/api/v1/configs"
ROLLOUTS = "/api/v1/rollouts"
_LAYERS = f"{CONFIGS}/layers/"
_NODES = f"{CONFIGS}/nodes/"
_HISTORY = 100
_DEEDS = ("pause", "resume", "revert")


class ConfigsApi:
    """Answers questions about layers and roll-outs, and changes them for administrators.

    Somebody who sees some environments only has the layers whose scope names one of them.
    """

    def __init__(
        self, registry: Registry, layers: Layers, office: Office, rollouts: Rollouts, store: ConfigStore
    ) -> None:
        self._registry = registry
        self._layers = layers
        self._office = office
        self._rollouts = rollouts
        self._store = store

    def routes(self) -> RouteTable:
        """Return the routes of exact paths."""
        return {
            CONFIGS: {"GET": _answered(self._list), "POST": _answered(self._push)},
            ROLLOUTS: {"GET": _answered(self._list_rollouts)},
        }

    def route(self, path: str) -> dict[str, Handler] | None:
        """Return the methods of a path below the lists, None for a path that is none."""
        if path.startswith(_LAYERS):
            return self._layer_route([unquote(part) for part in path.removeprefix(_LAYERS).split("/")])
        if path.startswith(_NODES):
            name = unquote(path.removeprefix(_NODES))
            return {"GET": _answered(lambda environ: self._node(environ, name))}
        if not path.startswith(f"{ROLLOUTS}/"):
            return None
        number, _, deed = path.removeprefix(f"{ROLLOUTS}/").partition("/")
        if not number.isascii() or not number.isdecimal() or len(number) > 15 or deed not in {"", *_DEEDS}:
            return None
        if deed:
            return {"POST": _answered(lambda environ: self._turn(environ, int(number), deed))}
        return {"GET": _answered(lambda environ: self._rollout(environ, int(number)))}

    def _layer_route(self, parts: list[str]) -> dict[str, Handler] | None:
        match parts:
            case [scope, name]:
                return {"GET": _answered(lambda environ: self._history(environ, scope, name))}
            case [scope, name, "diff"]:
                return {"GET": _answered(lambda environ: self._diff(environ, scope, name))}
        return None

    # Layers.

    def _list(self, environ: WSGIEnvironment) -> Response:
        who = principal_of(environ)
        with self._registry.lock():
            found = [each for each in self._layers.all() if sees(who.environments, each[0].scope)]
        return _json(200, {"layers": [documents.layer_document(*each) for each in found]})

    def _push(self, environ: WSGIEnvironment) -> Response:
        who = principal_of(environ)
        if refusal := _not_admin(who):
            return refusal
        push = read_push(body_of(environ))
        if not sees(who.environments, push.key.scope):
            names = ", ".join(sorted(who.environments or ()))
            raise Detail(f"this reaches other environments than yours: expected environment= one of {names}")
        new = Version(0, push.key, 0, push.body, push.kind, time.time(), who.name, push.note)
        version, rollout = self._rollouts.push(new, push.plan)
        body = {"version": version.number, "rollout": documents.rollout_document(rollout)}
        return _json(202, body)

    def _history(self, environ: WSGIEnvironment, scope: str, name: str) -> Response:
        versions = self._versions(environ, scope, name)
        if not versions:
            return _no_layer(scope, name)
        return _json(200, {"versions": [documents.version_document(one) for one in versions]})

    def _diff(self, environ: WSGIEnvironment, scope: str, name: str) -> Response:
        versions = {one.number: one for one in self._versions(environ, scope, name)}
        if not versions:
            return _no_layer(scope, name)
        after = _number(environ, "to", max(versions))
        before = _number(environ, "from", after - 1)
        if after not in versions or (before and before not in versions):
            return _json(404, {"error": f"{name} has no such version"})
        lines = documents.unified_diff(versions.get(before), versions[after])
        return _json(200, {"from": before, "to": after, "diff": lines})

    def _versions(self, environ: WSGIEnvironment, scope: str, name: str) -> list[Version]:
        key = read_key(scope, name)
        if not sees(principal_of(environ).environments, key.scope):
            return []
        return self._store.versions(key, _HISTORY)

    # Roll-outs.

    def _list_rollouts(self, environ: WSGIEnvironment) -> Response:
        who = principal_of(environ)
        with self._registry.lock():
            found = [
                documents.rollout_document(each)
                for each in self._rollouts.all()
                if sees(who.environments, each.key.scope)
            ]
        return compressed(_json(200, {"rollouts": found}), environ)

    def _rollout(self, environ: WSGIEnvironment, id: int) -> Response:
        found = self._seen(environ, id)
        if found is None:
            return _no_rollout(id)
        with self._registry.lock():
            return compressed(_json(200, documents.rollout_document(found, whole=True)), environ)

    def _turn(self, environ: WSGIEnvironment, id: int, deed: str) -> Response:
        who, rollout = principal_of(environ), self._seen(environ, id)
        if rollout is None:
            return _no_rollout(id)
        if refusal := _not_admin(who):
            return refusal
        match deed:
            case "pause":
                self._rollouts.pause(rollout)
            case "resume":
                self._rollouts.resume(rollout)
            case _:
                self._rollouts.revert(rollout, f"taken back by {who.name}")
        return _json(200, documents.rollout_document(rollout))

    def _seen(self, environ: WSGIEnvironment, id: int) -> Rollout | None:
        found = self._rollouts.get(id)
        return found if found and sees(principal_of(environ).environments, found.key.scope) else None

    # Nodes.

    def _node(self, environ: WSGIEnvironment, name: str) -> Response:
        found = Sight(self._registry, principal_of(environ)).find(name)
        if len(found) != 1:
            return _json(404, {"error": f"there is no node {name}, or more than one"})
        node = found[0]
        events = self._store.events(node.uid, _HISTORY)
        with self._registry.lock():
            desired, agent = self._office.desired(node), self._office.agent(node.uid)
            body = documents.agent_document(node, agent, desired.hash if desired else b"", events)
        body["files"] = {file: text for file, (text, _) in desired.files.items()} if desired else {}
        return compressed(_json(200, body), environ)


def _answered(work: Callable[[WSGIEnvironment], Response]) -> Handler:
    """Return a handler that says in JSON what was wrong with a request."""

    def handler(environ: WSGIEnvironment) -> Response:
        try:
            return work(environ)
        except RolloutRefused as error:
            return _json(409, {"error": str(error)})
        except StateError as error:
            return _json(503, {"error": str(error)})
        except ValueError as error:  # Detail is one
            return _json(400, {"error": str(error)})

    return handler


def _not_admin(who: Principal) -> Response | None:
    return None if who.may(Role.ADMIN) else _json(403, {"error": "this needs the role admin"})


def _number(environ: WSGIEnvironment, name: str, default: int) -> int:
    text = parse_qs(str(environ.get("QUERY_STRING", ""))).get(name, [""])[-1]
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else default


def _no_layer(scope: str, name: str) -> Response:
    return _json(404, {"error": f"there is no layer {name} for {scope}"})


def _no_rollout(id: int) -> Response:
    return _json(404, {"error": f"there is no roll-out {id}"})


def _json(status: int, body: Any) -> Response:
    return Response(status, msgspec.json.encode(body) + b"\n", "application/json")


__all__ = ["CONFIGS", "ROLLOUTS", "ConfigsApi", "LayerKey"]
