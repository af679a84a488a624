"""Who may be acted on: containers whose label says so, and those that the host's owner has named.

::

    labels:
      compose-agent.remediate: restart,scale

``restart`` allows everything that is done to single containers (restart, stop, start, pause, kill, recreate,
exec, networks), because a restart is made of the same pieces; ``scale`` allows to change how many containers
a service has. ``true`` means ``restart``, ``false`` and an empty label nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from compose_agent.dockerd.declared import NOTHING, Declared

LABEL = "compose-agent.remediate"
RESTART = "restart"
SCALE = "scale"
ACTIONS = frozenset({RESTART, SCALE})
_YES = frozenset({"true", "yes", "1"})
_NO = frozenset({"false", "no", "0", "none"})


def words(label: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the actions that a label allows, and the words in it that mean nothing."""
    given = [word.strip().lower() for word in label.split(",") if word.strip()]
    meant = {RESTART if word in _YES else word for word in given}
    return frozenset(meant & ACTIONS), tuple(sorted(meant - ACTIONS - _NO))


class OptIn:
    """Decides by label and by ``allowed``: shell patterns (``*``, ``?``) over names, for every action.

    ``allowed`` is gone through anew each time, so it may change. ``declared`` adds labels to those that stand
    on a container.
    """

    def __init__(self, allowed: Iterable[str] = (), declared: Declared = NOTHING) -> None:
        self._allowed = allowed
        self._declared = declared

    def refusal(self, name: str, labels: Mapping[str, str], action: str) -> str:
        """Return why this action may not be done to the container or service; empty when it may."""
        if any(fnmatchcase(name, pattern) for pattern in self._allowed):
            return ""
        label = self._declared.merged(labels).get(LABEL)
        if label is None:
            return f"{name} has no label {LABEL}={action}, so nothing is done to it"
        allowed, unknown = words(label)
        if action in allowed:
            return ""
        hint = f"; '{', '.join(unknown)}' in it means nothing" if unknown else ""
        return f"the label {LABEL}={label} of {name} does not allow {action}{hint}"
