"""For which agents a layer is. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields

from compose_agent.config.kinds import Detail
from fleet.manager.model import Description
from fleet.opamp.uid import uid_text

EVERYBODY = "all"
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Scope:
    """Agents of which all that is not empty is true; the fields stand from the weakest to the strongest.

    Where several layers say something of one option, the one that names the stronger field wins: a node's
    own over its tag's, that over its role's, and so on down to the one for everybody.
    """

    service: str = ""
    environment: str = ""
    role: str = ""
    tag: str = ""
    node: str = ""  # node id or instance uid

    def __str__(self) -> str:
        named = (f"{each.name}={value}" for each in fields(self) if (value := getattr(self, each.name)))
        return ",".join(named) or EVERYBODY

    @property
    def rank(self) -> tuple[bool, ...]:
        """What layers are ordered by, the weakest first."""
        return tuple(bool(getattr(self, each.name)) for each in reversed(fields(self)))

    def matches(self, uid: bytes, told: Description) -> bool:
        """Tell whether an agent is meant."""
        return (
            self.service in {"", told.service}
            and self.environment in {"", told.environment}
            and self.role in {"", told.role}
            and (not self.tag or self.tag in told.tags)
            and (not self.node or self.node in {told.node_id, uid_text(uid)})
        )


def parse_scope(text: str) -> Scope:
    """Return the scope in a text such as ``all`` or ``environment=staging,role=worker``; raises Detail."""
    given: dict[str, str] = {}
    for part in text.split(",") if text != EVERYBODY else ():
        name, equals, value = (each.strip() for each in part.partition("="))
        if name not in _NAMES or not equals or name in given:
            raise Detail(
                f"'{text}' is no scope: expected {EVERYBODY}, or some of {', '.join(_NAMES)}, "
                "such as environment=staging,role=worker"
            )
        if not value or len(value) > _LONGEST or not value.isprintable() or "=" in value:
            raise Detail(f"'{value}' cannot be the {name} of a scope: expected at most {_LONGEST} characters")
        given[name] = value
    return Scope(**given)


_NAMES = tuple(each.name for each in fields(Scope))
