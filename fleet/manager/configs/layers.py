"""The layers in memory: which version of each is for which agent. No I/O; the registry's lock guards it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fleet.manager.configs.model import LayerKey, Rollout, Version
from fleet.manager.model import Description


class Layers:
    """Versions in force, and those that open roll-outs bring to some agents.

    ``epoch`` changes with everything that may give some agent another configuration.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self._in_force: dict[LayerKey, Version] = {}
        self._open: dict[LayerKey, tuple[Rollout, Version]] = {}

    def put(self, version: Version) -> None:
        """Have a version in force for everybody in its scope."""
        self._in_force[version.key] = version
        self.changed()

    def begin(self, rollout: Rollout, version: Version) -> None:
        """Note that a roll-out brings ``version`` to its members."""
        self._open[rollout.key] = rollout, version
        self.changed()

    def end(self, rollout: Rollout) -> None:
        """Note that a roll-out is over: what is in force holds for everybody."""
        self._open.pop(rollout.key, None)
        self.changed()

    def changed(self) -> None:
        """Note that the members of a roll-out stand otherwise than before."""
        self.epoch += 1

    def in_force(self, key: LayerKey) -> Version | None:
        """Return the version in force."""
        return self._in_force.get(key)

    def open_on(self, key: LayerKey) -> Rollout | None:
        """Return the roll-out that has not ended."""
        found = self._open.get(key)
        return found[0] if found else None

    def all(self) -> Iterable[tuple[LayerKey, Version | None, Rollout | None]]:
        """Return every layer with what is in force and what is under way, by scope and name."""
        keys = sorted(
            {*self._in_force, *self._open}, key=lambda key: (key.scope.rank, str(key.scope), key.name)
        )
        return [(key, self.in_force(key), self.open_on(key)) for key in keys]

    def of(self, uid: bytes, told: Description) -> Iterator[Version]:
        """Yield the version of each layer that an agent is to have."""
        for key, version in self._in_force.items():
            if key not in self._open and key.scope.matches(uid, told):
                yield version
        for key, (rollout, new) in self._open.items():
            if key.scope.matches(uid, told):
                found = new if rollout.has_version(uid) else self._in_force.get(key)
                if found is not None:
                    yield found
