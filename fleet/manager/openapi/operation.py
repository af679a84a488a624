"""One thing that the API can be asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from wsgiref.types import WSGIEnvironment

from compose_agent.web.response import Response
from fleet.manager.principal import Role

# Is given the request, and what stands in the path at the places of its names, decoded.
Answer = Callable[[WSGIEnvironment, Mapping[str, str]], Response]


@dataclass(frozen=True, slots=True)
class Problem:
    """What every answer says that is not the one that was asked for."""

    error: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something that a query may say; ``type`` is any that msgspec converts to, constraints included.

    The text for itself is what the table checks; the handler reads the query as it likes.
    """

    name: str
    about: str
    type: Any = str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A method of a path such as ``/api/v1/nodes/{node}``, and everything that is to be known of it.

    ``gives`` is the type of the document in the answer with ``status``; None for one that is no JSON, whose
    media type is ``media``. ``takes`` is the type of the body. ``refuses`` has, for statuses besides those
    that all operations share, what they mean, and in ``problems`` the type of their documents where that is
    not :class:`Problem`.
    """

    method: str
    path: str
    summary: str
    answer: Answer
    gives: Any = None
    status: int = 200
    media: str = "application/json"
    takes: Any = None
    parameters: tuple[Parameter, ...] = ()
    refuses: Mapping[int, str] = field(default_factory=dict)
    problems: Mapping[int, Any] = field(default_factory=dict)
    needs: Role = Role.VIEWER


class ApiPart(Protocol):
    """A part of the manager that can be asked something."""

    def operations(self) -> Sequence[Operation]:
        """Return what can be asked."""
