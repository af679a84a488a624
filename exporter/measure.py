"""What a scrape measures of itself: how long each part took, and whether it gave everything."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from exporter.exposition import layout, render
from exporter.families import Family

Clock = Callable[[], float]

DURATION = Family(
    "docker_exporter_collector_duration_seconds",
    "gauge",
    "Time this collector took in this scrape, in seconds.",
    ("collector",),
)
SUCCESS = Family(
    "docker_exporter_collector_success",
    "gauge",
    "Whether this collector gave everything it should in this scrape (0 or 1).",
    ("collector",),
)
SCRAPE_DURATION = Family(
    "docker_exporter_scrape_duration_seconds",
    "gauge",
    "Time this scrape took in the exporter, in seconds, up to this line.",
)
FAMILIES = (DURATION, SUCCESS, SCRAPE_DURATION)
# The reading of usage, which is no collector's own, by the same measure.
USAGE = "usage"


class Measures:
    """Durations, successes and problems of one scrape, from its start; ``clock`` counts seconds."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.durations: dict[str, float] = {}
        self.successes: dict[str, int] = {}
        self.problems: list[str] = []
        self._started = clock()

    def passed(self) -> float:
        """Return the seconds since the start."""
        return self.clock() - self._started

    def part(self, name: str) -> Part:
        """Return a context that times a part of the scrape."""
        return Part(self, name)

    def text(self, *, openmetrics: bool) -> Iterable[str]:
        """Yield the families of what was measured so far."""
        row = render(FAMILIES, (self.durations, self.successes, self.passed()))
        return layout(FAMILIES, [row], openmetrics=openmetrics)


class Part:
    """Times one part; gives the list that takes its problems. An exception costs this part alone."""

    def __init__(self, measures: Measures, name: str) -> None:
        self._measures = measures
        self._name = name
        self._problems: list[str] = []
        self._started = measures.clock()

    def __enter__(self) -> list[str]:
        return self._problems

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, Exception):
            self._problems.append(f"{self._name}: {type(error).__name__} {error}")
        measures = self._measures
        measures.durations[self._name] = measures.clock() - self._started
        measures.successes[self._name] = int(not self._problems)
        measures.problems.extend(self._problems)
        return isinstance(error, Exception)
