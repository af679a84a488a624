"""The documents of the API about people, tokens and the audit, as types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from fleet.manager.people.model import Person, Scope, Token

_LONGEST_LIFE = 10 * 366 * 86400.0
_MOST_USES = 1_000_000
Seconds = Annotated[float, Meta(gt=0, le=_LONGEST_LIFE)]
Uses = Annotated[int, Meta(ge=1, le=_MOST_USES)]


class PersonDraft(msgspec.Struct, forbid_unknown_fields=True):
    """Somebody as they shall be; without ``environments`` they see all, without ``password`` it stays."""

    role: str
    environments: list[str] | None = None
    password: str | None = None


class TokenDraft(msgspec.Struct, forbid_unknown_fields=True):
    """A token that is wanted. ``kind`` is api or join; only the latter has ``uses``."""

    name: str
    kind: str = "api"
    role: str = "viewer"
    environments: list[str] | None = None
    expires_in: Seconds | None = None
    uses: Uses | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonShown:
    """Somebody; ``environments`` null is all."""

    name: str
    role: str
    environments: Sequence[str] | None
    has_password: bool
    created_at: float

    @classmethod
    def of(cls, person: Person) -> PersonShown:
        """Return what is shown of somebody."""
        role, environments = _scope(person.scope)
        has_password = bool(person.password)
        return cls(
            name=person.name,
            role=role,
            environments=environments,
            has_password=has_password,
            created_at=person.created_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenShown:
    """A token; its text is in ``token`` when it is made, and never again."""

    id: str
    name: str
    kind: str
    role: str
    environments: Sequence[str] | None
    created_at: float
    expires_at: float | None
    uses_left: int | None
    token: str | None = None

    @classmethod
    def of(cls, token: Token, text: str | None = None) -> TokenShown:
        """Return what is shown of a token."""
        role, environments = _scope(token.scope)
        return cls(
            id=token.id,
            name=token.name,
            kind=token.kind.value,
            role=role,
            environments=environments,
            created_at=token.created_at,
            expires_at=token.expires_at or None,
            uses_left=token.uses_left,
            token=text,
        )


@dataclass(frozen=True, slots=True)
class People:
    """Everybody who asks may know of."""

    people: Sequence[PersonShown]


@dataclass(frozen=True, slots=True)
class Tokens:
    """Every token of which who asks may know, the oldest first."""

    tokens: Sequence[TokenShown]


@dataclass(frozen=True, slots=True)
class EntryShown:
    """An entry of the audit."""

    seq: int
    at: float
    kind: str
    subjects: Mapping[str, str]
    fields: Mapping[str, Any]
    hash: str


@dataclass(frozen=True, slots=True)
class Entries:
    """Entries of the audit, the newest first."""

    entries: Sequence[EntryShown]


def _scope(scope: Scope) -> tuple[str, list[str] | None]:
    seen = scope.environments
    return scope.role.name.lower(), None if seen is None else sorted(seen)
