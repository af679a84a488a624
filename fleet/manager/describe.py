"""What an agent reports, as the manager keeps it. Pure; nothing an agent sends can make it fail."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import islice, repeat

from fleet.manager.model import Description, Health
from fleet.opamp import attributes as names
from fleet.opamp.attributes import Plain, from_attributes
from fleet.opamp.opamp_pb2 import AgentDescription, ComponentHealth, EffectiveConfig
from fleet.opamp.uid import uid_text

_NANOSECONDS = 1e9
# More is not shown on one page, and a tree without an end must not fill the memory.
_MOST_PARTS = 200
_DEEPEST = 6
_LONGEST_NAME = 200
_MOST_FILES = 50
# Of all files of a configuration together; one message may have sixteen times as much.
_MOST_CONFIG_BYTES = 256 * 1024
# More often than this nobody can be seen to be late, and a day without a word is no heartbeat.
_SHORTEST_INTERVAL, _LONGEST_INTERVAL = 0.1, 86_400.0
_LONGEST_ERROR = 2000


def description_of(uid: bytes, given: AgentDescription, placed: Callable[[str], str] = str) -> Description:
    """Return what ``given`` says; an agent that names no node is called by its instance id or uid.

    ``placed`` returns the environment of an agent that says it is in another one, or in none.
    """
    identifying = from_attributes(given.identifying_attributes)
    found = {**from_attributes(given.non_identifying_attributes), **identifying}
    told = _Texts(found)(names.ENVIRONMENT)
    if (environment := placed(told)) != told:
        found[names.ENVIRONMENT] = environment
    text = _Texts(found)
    return Description(
        node_id=text(names.NODE_ID) or text("service.instance.id") or uid_text(uid),
        service=text("service.name"),
        version=text("service.version"),
        host=text("host.name"),
        host_id=text("host.id"),
        address=_first(found.get("host.ip")),
        role=text(names.ROLE),
        environment=environment,
        capacity=_whole(found.get(names.CAPACITY)),
        tags=_texts(found.get(names.TAGS)),
        interval=_seconds(found.get(names.HEARTBEAT_SECONDS)),
        listeners=_listeners(found),
        attributes=found,
    )


def health_of(given: ComponentHealth) -> Health:
    """Return a tree of health, cut where it is deeper or has more parts than anybody reads."""
    return _health(given, islice(repeat(None), _MOST_PARTS), 0)


def _health(given: ComponentHealth, left: Iterator[None], depth: int) -> Health:
    """Return a part of the tree; ``left`` gives something once for each further part that may be kept."""
    below = sorted(given.component_health_map.items()) if depth < _DEEPEST else []
    return Health(
        healthy=given.healthy,
        status=given.status[:_LONGEST_ERROR],
        error=given.last_error[:_LONGEST_ERROR],
        since=given.start_time_unix_nano / _NANOSECONDS,
        parts={
            name[:_LONGEST_NAME]: _health(each, left, depth + 1)
            for (name, each), _ in zip(below, left, strict=False)
        },
    )


def config_of(given: EffectiveConfig) -> dict[str, str]:
    """Return the files of a configuration as texts, cut where all together are too long."""
    found, left = {}, _MOST_CONFIG_BYTES
    for name, file in sorted(given.config_map.config_map.items())[:_MOST_FILES]:
        found[name[:_LONGEST_NAME]] = file.body[:left].decode("utf-8", "replace")
        left = max(0, left - len(file.body))
    return found


class _Texts:
    def __init__(self, found: dict[str, Plain]) -> None:
        self._found = found

    def __call__(self, key: str) -> str:
        value = self._found.get(key, "")
        return value if isinstance(value, str) else str(value)


def _first(value: Plain | None) -> str:
    if isinstance(value, list):
        return value[0] if value else ""
    return value if isinstance(value, str) else ""


def _texts(value: Plain | None) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(value)
    return (value,) if isinstance(value, str) and value else ()


def _whole(value: Plain | None) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _seconds(value: Plain | None) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not math.isfinite(value) or value <= 0:
        return None
    return min(max(float(value), _SHORTEST_INTERVAL), _LONGEST_INTERVAL)


def _listeners(found: dict[str, Plain]) -> dict[str, str]:
    prefix = names.LISTENER_PREFIX
    return {
        key.removeprefix(prefix): value
        for key, value in sorted(found.items())
        if key.startswith(prefix) and isinstance(value, str)
    }
