"""Places at which a test can have this process killed, as a power failure or ``kill -9`` would.

``failpoint("actor.before-call")`` does nothing unless the environment variable ``COMPOSE_AGENT_FAILPOINTS``
is set. It holds entries with commas between them:

=======================================  ===============================================================
``actor.before-call``                    SIGKILL when that point is passed for the first time
``actor.before-call:3``                  … for the third time
``random:SEED:PROBABILITY``              … at any pass of any point, with this probability
``random:SEED:PROBABILITY:actor.``       … of any point whose name begins like this
=======================================  ===============================================================

What ``random`` decides follows from the seed, the point, and how often it was passed, and from nothing else.
A process that is started again with the same seed therefore dies at the same place: give it another one.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from compose_agent.errors import ConfigError, Problem

VARIABLE = "COMPOSE_AGENT_FAILPOINTS"
KILLED_AT = "killed at the fail point "
_RANDOM = "random"
_HASH_BYTES = 8


@dataclass(frozen=True, slots=True)
class Plan:
    """At which passes of which points the process is to die."""

    at: dict[str, int]
    seed: str = ""
    probability: float = 0.0
    prefix: str = ""

    def wants(self, name: str, passes: int) -> bool:
        """Tell whether this pass of a point, counted from 1, is the end."""
        if self.at.get(name) == passes:
            return True
        drawn = self.probability > 0 and name.startswith(self.prefix)
        return drawn and _share(f"{self.seed} {name} {passes}") < self.probability


class Failpoints:
    """Count the passes of every point, and call ``kill`` with its name at those of the plan. Thread-safe."""

    def __init__(self, plan: Plan, kill: Callable[[str], None]) -> None:
        self._plan = plan
        self._kill = kill
        self._passes: Counter[str] = Counter()
        self._lock = threading.Lock()

    def reached(self, name: str) -> None:
        """Take note that a point is passed."""
        with self._lock:
            self._passes[name] += 1
            passes = self._passes[name]
        if self._plan.wants(name, passes):
            self._kill(name)


def parse(text: str) -> Plan | None:
    """Return the plan in the variable's text, None when it is empty; raises ConfigError."""
    at: dict[str, int] = {}
    seed, probability, prefix = "", 0.0, ""
    for entry in filter(None, (each.strip() for each in text.split(","))):
        name, _, rest = entry.partition(":")
        try:
            if name == _RANDOM:
                seed, share, *prefixes = rest.split(":", 2)
                probability, prefix = float(share), "".join(prefixes)
            else:
                at[name] = int(rest or 1)
        except ValueError as error:
            words = f"'{entry}' is neither POINT, POINT:PASS nor random:SEED:PROBABILITY[:PREFIX]"
            raise ConfigError(Problem(VARIABLE, words)) from error
    return Plan(at, seed, probability, prefix) if at or probability else None


def kill_this_process(name: str) -> None:
    """End this process at once, with nothing closed and nothing written but where it ended, for its log."""
    os.write(sys.stderr.fileno(), f"{KILLED_AT}{name}\n".encode())
    os.kill(os.getpid(), signal.SIGKILL)


def _share(text: str) -> float:
    """Return a number from 0 to 1 that looks random and follows from the text."""
    digest = hashlib.blake2b(text.encode(), digest_size=_HASH_BYTES).digest()
    return int.from_bytes(digest) / 256.0**_HASH_BYTES


_points: Failpoints | None = None


def arm(environ: Mapping[str, str]) -> None:
    """Have this process die as the variable in ``environ`` says; raises ConfigError."""
    global _points  # noqa: PLW0603 - a process dies once
    plan = parse(environ.get(VARIABLE, ""))
    _points = Failpoints(plan, kill_this_process) if plan else None


def failpoint(name: str) -> None:
    """Die here if the environment asks for it."""
    if _points is not None:
        _points.reached(name)


arm(os.environ)
