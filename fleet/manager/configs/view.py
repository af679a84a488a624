"""Layers, roll-outs and agents as somebody sees them: the API and the pages ask here."""

from __future__ import annotations

from compose_agent.config.kinds import Detail
from fleet.manager.configs import documents
from fleet.manager.configs.layers import Layers
from fleet.manager.configs.model import Rollout, Version
from fleet.manager.configs.office import Office
from fleet.manager.configs.requests import read_key
from fleet.manager.configs.rollouts import Rollouts
from fleet.manager.configs.scope import Scope
from fleet.manager.configs.store import ConfigStore
from fleet.manager.model import Node
from fleet.manager.principal import Principal
from fleet.manager.registry import Registry

_HISTORY = 100


def sees(who: Principal, scope: Scope) -> bool:
    """Tell whether a layer exists for somebody: one that reaches other environments as well does not."""
    return who.environments is None or scope.environment in who.environments


class ConfigsView:
    """What exists for somebody; versions and histories raise StateError."""

    def __init__(
        self, registry: Registry, layers: Layers, office: Office, rollouts: Rollouts, store: ConfigStore
    ) -> None:
        self._registry = registry
        self._layers = layers
        self._office = office
        self._rollouts = rollouts
        self._store = store

    def layers(self, who: Principal) -> list[documents.LayerRow]:
        """Return the layers, the weakest first."""
        with self._registry.lock():
            found = [each for each in self._layers.all() if sees(who, each[0].scope)]
            return [documents.layer_row(*each) for each in found]

    def versions(self, who: Principal, scope: str, name: str) -> list[Version]:
        """Return the versions of a layer, the newest first; none for one that there is not."""
        try:
            key = read_key(scope, name)
        except Detail:
            return []
        return self._store.versions(key, _HISTORY) if sees(who, key.scope) else []

    def rollouts(self, who: Principal) -> list[documents.RolloutRow]:
        """Return the last roll-outs, the newest first."""
        with self._registry.lock():
            found = [each for each in self._rollouts.all() if sees(who, each.key.scope)]
            return [documents.rollout_row(each) for each in found]

    def rollout(self, who: Principal, number: str) -> Rollout | None:
        """Return the roll-out of this number."""
        known = number.isascii() and number.isdecimal() and len(number) < 16
        found = self._rollouts.get(int(number)) if known else None
        return found if found and sees(who, found.key.scope) else None

    def row(self, rollout: Rollout, *, whole: bool = False) -> documents.RolloutRow:
        """Return how a roll-out stands; with all its agents if ``whole``."""
        with self._registry.lock():
            return documents.rollout_row(rollout, whole=whole)

    def node(self, node: Node) -> documents.NodeConfig:
        """Return how the configuration of a node stands."""
        events = self._store.events(node.uid, _HISTORY)
        with self._registry.lock():
            desired, agent = self._office.desired(node), self._office.agent(node.uid)
            return documents.node_config(node, agent, desired, events)
