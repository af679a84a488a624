"""Files that Compose has put into a container itself: secrets of the environment, configs with ``content``.

They stand in no mount and in no field of inspect. What gives them away is their time: Compose writes them by
a tar archive, whose times have whole seconds, shortly before each start, whereas a program that writes a
file leaves nanoseconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from compose_agent.dockerd.model import parse_time
from compose_agent.dockerd.verbs.compose.siblings import Replica

# Each file costs a request of some milliseconds; who has changed more keeps its data in the wrong place.
LOOKED_AT = 200
# Compose rounds the time to seconds, up or down.
_ROUNDING_SECONDS = 1.0
_WHOLE_SECOND = re.compile(r"[^.]+(Z|[+-][0-9]{2}:[0-9]{2})")
# Go's file mode, as it travels: the bits that say that it is no regular file.
_NOT_REGULAR = 0x8F280000

Stat = Callable[[str], Mapping[str, Any] | None]


def injected_files(replica: Replica, changes: Iterable[str], stat: Stat) -> list[str] | None:
    """Return the files that were put into a replica from outside, None when there are too many to look at.

    ``changes`` are the changed paths of its own layer; ``stat`` gives what the Engine says of a path.
    """
    if replica.raw["HostConfig"].get("ReadonlyRootfs"):
        return []  # Compose itself refuses to write there
    candidates = likeliest_first(changes)
    found = [path for path in candidates[:LOOKED_AT] if _is_injected(replica, stat(path))]
    return found if found or len(candidates) <= LOOKED_AT else None


def likeliest_first(changes: Iterable[str]) -> list[str]:
    """Return the paths below which no other lies: where secrets are by default, then the shallow ones."""
    paths = set(changes)
    folders = {path.rpartition("/")[0] for path in paths}
    leaves = paths - folders
    return sorted(leaves, key=lambda path: (not path.startswith("/run/secrets/"), path.count("/"), path))


def _is_injected(replica: Replica, found: Mapping[str, Any] | None) -> bool:
    if found is None or int(found.get("mode") or 0) & _NOT_REGULAR:
        return False
    text = str(found.get("mtime") or "")
    moment, made = parse_time(text), replica.container.created_at
    if moment is None or made is None or not _WHOLE_SECOND.fullmatch(text):
        return False
    started = replica.container.started_at or moment
    return made - _ROUNDING_SECONDS <= moment <= started + _ROUNDING_SECONDS
