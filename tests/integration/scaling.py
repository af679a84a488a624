"""A real Compose project, and an actor that scales its services, for the tests of scaling."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.verbs.actor import LocalActor
from compose_agent.dockerd.verbs.budget import Budget, Limits
from compose_agent.dockerd.verbs.compose.cli import ComposeCli
from compose_agent.dockerd.verbs.compose.scale import ComposeScale
from compose_agent.dockerd.verbs.journal import Journal
from compose_agent.dockerd.verbs.model import Outcome, VerbRequest
from compose_agent.dockerd.verbs.optin import LABEL, OptIn
from compose_agent.dockerd.verbs.pursuit import Patience
from lab.busybox import TAG
from lab.compose import SLEEPER, Project

# Starts of containers wait for a disk that is shared with everything else.
CALL_SECONDS = 60.0
QUICK = Patience(settle=0.5, first_pause=0.05, last_pause=0.2, away=30.0)
MANY = Limits(per_target=1000, per_host=1000)


def service(**more: Any) -> dict[str, Any]:
    """Return a service that runs until it is told to end, and may be scaled."""
    return {"image": TAG, "command": ["sh", "-c", SLEEPER], "labels": {LABEL: "scale"}} | more


@contextmanager
def scaling(host: str, folder: Path, environ: Mapping[str, str] | None = None) -> Iterator[LocalActor]:
    """Yield an actor that scales; through Compose, too, when it is given the variables for that."""
    client = EngineClient(Endpoint(host, "test"), timeout=CALL_SECONDS)
    journal = Journal(folder)
    verb = ComposeScale(ComposeCli(environ) if environ else None)
    actor = LocalActor(client, journal, {verb.name: verb}, OptIn(), Budget(MANY), patience=QUICK)
    try:
        yield actor
    finally:
        actor.close()
        client.close()
        journal.close()


def wish(target: str, to: int, *, id: str = "one", **more: Any) -> VerbRequest:
    """Return a request for so many replicas."""
    return VerbRequest(id=id, verb=ComposeScale.name, target=target, arguments={"to": to, **more})


class Shop:
    """A project, with what the tests ask of it."""

    def __init__(self, project: Project, host: str, folder: Path) -> None:
        self.project = project
        self.host = host
        self.folder = folder
        self._asked = 0

    def scale(self, name: str, to: int, **more: Any) -> Outcome:
        """Have a service scaled by an actor that may use Compose, under an id of its own."""
        self._asked += 1
        with scaling(self.host, self.folder, self.project.environment) as actor:
            return actor.perform(wish(f"{self.project.name}/{name}", to, id=f"wish-{self._asked}", **more))

    def compose(self, *words: str, by_file: bool = True) -> str:
        """Run ``docker compose``."""
        return self.project.compose(*words, by_file=by_file)

    def replicas(self, name: str) -> dict[str, str]:
        """Return what Compose itself lists of a service: state by name of the container."""
        lines = self.compose("ps", "--all", "--format", "json", name).splitlines()
        listed = [json.loads(line) for line in lines]
        return {str(each["Name"]): str(each["State"]) for each in sorted(listed, key=lambda one: one["Name"])}

    def ids(self, name: str) -> list[str]:
        """Return the sorted ids of a service's containers, running or not."""
        return sorted(self.compose("ps", "--all", "--quiet", name).split())


def main() -> None:
    """Ask once, in a process of its own that a test may have killed: HOST FOLDER TARGET TO."""
    host, folder, target, to = sys.argv[1:]
    with scaling(host, Path(folder)) as actor:
        outcome = actor.perform(wish(target, int(to)))
        sys.stdout.write(f"{outcome.result} {outcome.reason}".strip())


if __name__ == "__main__":
    main()
