"""The frame of every campaign: bounded, resumable, told as it goes, and written down."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from compose_agent.errors import ComposeAgentError

_CHECKOUT = Path(__file__).resolve().parent.parent
RESULTS = _CHECKOUT / ".cache" / "soak"
# More would only repeat themselves, and fill the file of a night in which everything fails.
MAX_VIOLATIONS = 200
_GIT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run did: numbers to add up over all runs, and what it found wrong, in sentences."""

    counts: Mapping[str, int] = field(default_factory=dict)
    violations: tuple[str, ...] = ()


Run = Callable[[int], Outcome]


class Campaign(Protocol):
    """A kind of run; ``open`` prepares what all runs share and gives the function from seed to outcome."""

    name: str
    help: str

    def open(self, engine: str) -> AbstractContextManager[Run]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Plan:
    """Which runs: ``runs`` of them with the seeds from ``seed`` on, begun for ``minutes`` at most."""

    engine: str
    runs: int
    seed: int
    minutes: float


@dataclass(slots=True)
class Result:
    """What is written down; ``done`` runs of the plan are over."""

    campaign: str
    plan: Plan
    commit: str
    started: str
    load: tuple[float, ...]
    done: int = 0
    seconds: float = 0.0
    slowest: dict[str, float] = field(default_factory=lambda: {"seed": 0, "seconds": 0.0})
    counts: dict[str, int] = field(default_factory=dict)
    violations: list[dict[str, Any]] = field(default_factory=list)

    @property
    def path(self) -> Path:
        """The file of this campaign; another seed has another file, so that a replay spoils nothing."""
        return RESULTS / f"{self.campaign}-{self.plan.engine}-{self.plan.seed}.json"

    def add(self, seed: int, seconds: float, outcome: Outcome) -> None:
        """Take a run's outcome in."""
        self.done += 1
        self.seconds = round(self.seconds + seconds, 2)
        if seconds > self.slowest["seconds"]:
            self.slowest = {"seed": seed, "seconds": round(seconds, 2)}
        self.counts = dict(Counter(self.counts) + Counter(outcome.counts))
        room = MAX_VIOLATIONS - len(self.violations)
        self.violations += [{"seed": seed, "what": what} for what in outcome.violations[: max(0, room)]]

    def save(self) -> None:
        """Write the file whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        partial.replace(self.path)


def perform(
    campaign: Campaign, plan: Plan, *, resume: bool = False, say: Callable[[str], None] = print
) -> Result:
    """Carry a plan out and return its result, which is on disk after each run."""
    result = _begun(campaign.name, plan, resume=resume)
    deadline = time.monotonic() + plan.minutes * 60
    with campaign.open(plan.engine) as run:
        while result.done < plan.runs and time.monotonic() < deadline:
            seed = plan.seed + result.done
            started = time.monotonic()
            outcome = _outcome(run, seed)
            result.add(seed, time.monotonic() - started, outcome)
            result.save()
            say(_line(result, seed, outcome))
    result.save()
    return result


def _outcome(run: Run, seed: int) -> Outcome:
    try:
        return run(seed)
    except (ComposeAgentError, OSError, AssertionError) as error:
        return Outcome(violations=(f"the run broke: {type(error).__name__} {error}"[:2000],))


def _line(result: Result, seed: int, outcome: Outcome) -> str:
    found = "".join(f"\n  seed {seed}: {what}" for what in outcome.violations)
    mean = result.seconds / result.done
    violated = len(result.violations)
    return f"{result.done}/{result.plan.runs} runs, {mean:.1f} s each, {violated} violations{found}"


def _begun(name: str, plan: Plan, *, resume: bool) -> Result:
    result = Result(name, plan, _commit(), time.strftime("%Y-%m-%dT%H:%M:%S%z"), os.getloadavg())
    if not resume or not result.path.exists():
        return result
    before = json.loads(result.path.read_text(encoding="utf-8"))
    result.done, result.seconds = before["done"], before["seconds"]
    result.slowest, result.violations = before["slowest"], before["violations"]
    result.counts = before["counts"]
    return result


def _commit() -> str:
    """Return the commit of the checkout, with a plus sign when files differ from it."""
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        return commit + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(_CHECKOUT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=True)
    return done.stdout.strip()
