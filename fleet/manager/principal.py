"""Who asks the manager for something, and what that person or program may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from wsgiref.types import WSGIEnvironment

# Where a request's environment keeps it; whoever lets a request in puts it there.
KEY = "compose_agent.principal"


class Role(IntEnum):
    """What somebody may do; each role may do what the ones below it may."""

    VIEWER = 1
    OPERATOR = 2  # commands, jobs, freezes
    ADMIN = 3  # configuration, tokens, people


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody by ``name``; ``environments`` are the ones there are for them, None when all are."""

    name: str
    role: Role
    environments: frozenset[str] | None = None

    def may(self, role: Role) -> bool:
        """Tell whether they may do what ``role`` is for."""
        return self.role >= role

    def sees(self, environment: str) -> bool:
        """Tell whether what is in an environment exists for them."""
        return self.environments is None or environment in self.environments


# Who reaches the local socket is the host's administrator.
LOCAL = Principal("local", Role.ADMIN)
# Who may look while nobody has been made a user.
ANYBODY = Principal("anybody", Role.VIEWER)


def principal_of(environ: WSGIEnvironment) -> Principal:
    """Return who asks; KeyError when nobody has let the request in, which is a defect."""
    principal: Principal = environ[KEY]
    return principal
