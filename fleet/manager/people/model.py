"""People and tokens as plain values, and how their names and roles are written."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

from compose_agent.errors import ComposeAgentError
from fleet.manager.principal import Principal, Role

# What can be read out, typed, and used in a URL; no colon, which ends a name in basic authentication.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", re.ASCII)
# The longest that an environment's name may be; it is shown in tables and is a label of metrics.
_LONGEST_ENVIRONMENT = 64
# Those that are nobody's own name.
_RESERVED = frozenset({"local", "anybody"})


class Refused(ComposeAgentError):
    """What was asked for about people or tokens is not possible."""


class Kind(StrEnum):
    """What a token is for."""

    API = "api"  # people and programs
    JOIN = "join"  # agents that come for the first time


@dataclass(frozen=True, slots=True)
class Scope:
    """What somebody may do and see; ``environments`` None is all."""

    role: Role
    environments: frozenset[str] | None = None

    def principal(self, name: str) -> Principal:
        """Return somebody of this name who may do that."""
        return Principal(name, self.role, self.environments)

    def within(self, other: Principal) -> bool:
        """Tell whether somebody may give as much away."""
        if not other.may(self.role):
            return False
        if other.environments is None:
            return True
        return self.environments is not None and self.environments <= other.environments


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a name; ``password`` is a bcrypt hash, empty for who comes through a proxy only."""

    name: str
    scope: Scope
    password: bytes = field(repr=False)
    created_at: float


@dataclass(frozen=True, slots=True)
class Token:
    """A token without its text, of which ``digest`` is the SHA-256.

    Times are Unix time, ``expires_at`` 0 is never. ``uses_left``, of a join token, is how many more agents
    may come with it, None any number; its environments are those that these may be in.
    """

    id: str
    name: str
    kind: Kind
    scope: Scope
    digest: bytes = field(repr=False)
    created_at: float
    expires_at: float = 0.0
    uses_left: int | None = None

    def holds(self, now: float) -> bool:
        """Tell whether its time is not over."""
        return not self.expires_at or now < self.expires_at


def name_of(text: object) -> str:
    """Return a name; raises Refused for what is none."""
    if not isinstance(text, str) or not _NAME.fullmatch(text) or text in _RESERVED:
        what = f"{text!r} cannot be a name: expected up to 64 letters, digits and any of . _ @ -"
        raise Refused(what)
    return text


def role_of(text: object) -> Role:
    """Return the role of this name; raises Refused."""
    try:
        return Role[str(text).upper()]
    except KeyError:
        names = ", ".join(role.name.lower() for role in Role)
        raise Refused(f"there is no role {text!r}, expected one of {names}") from None


def kind_of(text: object) -> Kind:
    """Return the kind of token of this name; raises Refused."""
    try:
        return Kind(str(text))
    except ValueError:
        raise Refused(f"there is no kind {text!r} of token, expected api or join") from None


def environments_of(given: object) -> frozenset[str] | None:
    """Return environments out of a list of their names, None (all) for none given; raises Refused."""
    if given is None:
        return None
    if not isinstance(given, list) or not given or not all(map(_is_environment, given)):
        raise Refused(
            "environments are a list of names of up to 64 printable characters, or left out for all"
        )
    return frozenset(given)


def _is_environment(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= _LONGEST_ENVIRONMENT and name.isprintable()
