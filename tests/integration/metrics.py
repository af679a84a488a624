"""Reading an exposition in tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from lab.agent import Agent


class Exposition:
    """The samples of a scrape, to be asked by name and labels."""

    def __init__(self, text: str) -> None:
        self.samples = [
            sample for family in text_string_to_metric_families(text) for sample in family.samples
        ]

    @classmethod
    def of(cls, agent: Agent) -> Exposition:
        """Scrape an agent."""
        return cls(agent.get())

    def values(self, family: str, /, **labels: str) -> list[float]:
        """Return the values of every series of this name that carries these labels."""
        return [
            sample.value
            for sample in self.samples
            if sample.name == family and labels.items() <= sample.labels.items()
        ]

    def value(self, family: str, /, **labels: str) -> float:
        """Return the value of the one series that there is."""
        found = self.values(family, **labels)
        assert len(found) == 1, f"{family}{labels}: {found}"
        return found[0]

    def state(self, container: str) -> str | None:
        """Return the one state of a container that is 1."""
        return self._one("docker_container_state", "state", container)

    def health(self, container: str) -> str | None:
        """Return the one health of a container that is 1."""
        return self._one("docker_container_health", "status", container)

    def _one(self, name: str, label: str, container: str) -> str | None:
        ones = [
            sample.labels[label]
            for sample in self.samples
            if sample.name == name and sample.labels["name"] == container and sample.value == 1
        ]
        assert len(ones) <= 1, f"{container} has {label} {ones}"
        return ones[0] if ones else None


def eventually(check: Callable[[], Any], seconds: float = 30.0, pause: float = 0.1) -> None:
    """Run ``check`` until it raises no AssertionError; that of a look after ``seconds`` counts.

    A look that began before is no last one: a busy machine may have taken all of the time for it.
    """
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        try:
            check()
        except AssertionError:
            if began > deadline:
                raise
            time.sleep(pause)
        else:
            return
