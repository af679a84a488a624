"""The Engines that a campaign disturbs: the fake, and a private real one, behind the same verbs."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Protocol

import docker
import docker.errors
import requests

from compose_agent.dockerd.fake import Behaviour, FakeEngine, Fault
from compose_agent.dockerd.fake.faults import Kind
from lab.busybox import ensure_image
from lab.engine import PrivateEngine
from soak.watch import Watcher

# A real start takes a second when the machine does other things too.
CALL_SECONDS = 30
_CHECK = {
    "test": ["CMD-SHELL", "test -e /tmp/ok"],
    "interval": 500_000_000,
    "timeout": 5_000_000_000,
    "retries": 1,
}
_ROUTES = (
    "GET /_ping", "GET /events", "GET /info", "GET /version",
    "GET /containers/json", "GET /containers/*/json", "GET /containers/*/stats",
)  # fmt: skip
_KINDS: tuple[Kind, ...] = ("hang", "slow", "error", "reset", "reset-body", "truncate", "garbage", "wrong")
_LOOP = "trap 'exit 0' TERM; while :; do sleep 0.2; done"


@dataclass(frozen=True, slots=True)
class Kindred:
    """A kind of container: what a real one runs, how a fake one behaves, and its restart policy."""

    script: str
    behaviour: Behaviour
    restart: str = "no"
    checked: bool = False
    memory: str | None = None


CONTAINERS = {
    "steady": Kindred(_LOOP, Behaviour(stop_takes=0.02)),
    "kept": Kindred(_LOOP, Behaviour(stop_takes=0.02), restart="always"),
    "checked": Kindred(_LOOP, Behaviour(health="healthy", health_takes=0.1), restart="always", checked=True),
    "ends": Kindred("sleep 0.3; exit 7", Behaviour(exit_after=0.2, exit_code=7)),
    "loops": Kindred("sleep 0.3; exit 3", Behaviour(exit_after=0.1, exit_code=3), restart="always"),
    "tries": Kindred("exit 4", Behaviour(exit_after=0.02, exit_code=4), restart="on-failure:3"),
    "hungry": Kindred(
        "a=x; while :; do a=$a$a$a; done", Behaviour(exit_after=0.1, exit_code=137), memory="16m"
    ),
}


class Rig(Protocol):
    """What a run needs of an Engine. ``api`` is a client that we did not write."""

    api: docker.APIClient
    url: str

    def prepare(self, container: str, kind: Kindred) -> None: ...  # noqa: D102
    def crash(self, container: str, rng: Random) -> None: ...  # noqa: D102
    def health(self, container: str, rng: Random) -> None: ...  # noqa: D102
    def disturb(self, rng: Random, watcher: Watcher) -> str: ...  # noqa: D102
    def settle(self, watcher: Watcher) -> None: ...  # noqa: D102


class FakeRig:
    """A fake Engine of a version and a habit that the seed's batch chooses."""

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.url = engine.url
        self.api = docker.APIClient(
            base_url=engine.url, version="1.41" if _old(engine) else "1.44", timeout=CALL_SECONDS
        )
        self.image = "busybox:latest"
        self._dropped = False
        self._spoiled = False

    def prepare(self, container: str, kind: Kindred) -> None:
        """Tell the fake how a container behaves."""
        self.engine.behave(container, kind.behaviour)

    def crash(self, container: str, rng: Random) -> None:
        """End a container from outside: by a crash, or by the kernel for memory."""
        if rng.random() < 0.5:
            self.engine.die(container, rng.choice((1, 137, 139)))
        else:
            self.engine.oom(container, child_only=rng.random() < 0.3)

    def health(self, container: str, rng: Random) -> None:
        """Let the health check come to another result."""
        self.engine.set_health(container, rng.choice(("healthy", "unhealthy")))

    def disturb(self, rng: Random, watcher: Watcher) -> str:
        """Do something to the Engine and return what it was."""
        what = rng.choice(("freeze", "freeze", "away", "away", "restart", "drop", "spoil", "spoil", "spoil"))
        if what == "freeze":
            self._pause(rng, watcher)
        elif what in ("away", "restart"):
            watcher.stands("away" if not self._spoiled else "unclear")
            self.engine.stop_engine()
            time.sleep(_absence(rng) if what == "away" else 0)
            self.engine.start_engine()
            self._stands_again(watcher)
        elif what == "drop":
            self.engine.drop_events(rng.randint(1, 5))
            self._dropped = True
        else:
            self._spoil(rng, watcher)
        return what

    def settle(self, watcher: Watcher) -> None:
        """Heal the Engine; where events were lost a restart makes everybody list before time."""
        self.engine.clear_faults()
        if self._dropped:
            watcher.stands("away")
            self.engine.restart_engine()
        if self._dropped or self._spoiled:
            watcher.stands("up")
        self._dropped = self._spoiled = False

    def _pause(self, rng: Random, watcher: Watcher) -> None:
        watcher.stands("frozen" if not self._spoiled else "unclear")
        self.engine.freeze()
        time.sleep(_absence(rng))
        self.engine.thaw()
        self._stands_again(watcher)

    def _spoil(self, rng: Random, watcher: Watcher) -> None:
        watcher.stands("unclear")
        self._spoiled = True
        kind = rng.choice(_KINDS)
        times = rng.randint(1, 4)
        seconds = rng.uniform(0.05, 0.5)
        self.engine.add_fault(
            Fault(
                rng.choice(_ROUTES),
                kind,
                times=times,
                seconds=seconds,
                after=rng.randint(1, 400),
                body='{"State": 7}',
            )
        )
        if kind == "hang":
            time.sleep(rng.uniform(0.1, 1))
            self.engine.clear_faults()
            self._dropped = True  # what was to be dropped may have been cleared, or not

    def _stands_again(self, watcher: Watcher) -> None:
        watcher.stands("unclear" if self._spoiled else "up")


class RealRig:
    """A private real Engine."""

    def __init__(self, engine: PrivateEngine) -> None:
        self.engine = engine
        self.url = engine.host
        self.api = docker.APIClient(base_url=engine.host, version="auto", timeout=CALL_SECONDS)
        with contextlib.closing(docker.DockerClient(base_url=engine.host, timeout=CALL_SECONDS)) as client:
            self.image = ensure_image(client)

    def prepare(self, container: str, kind: Kindred) -> None:
        """Do nothing: a real container behaves by itself."""

    def crash(self, container: str, rng: Random) -> None:
        """Kill a container's main process behind the Engine's back."""
        pid = self.api.inspect_container(container)["State"]["Pid"]
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def health(self, container: str, rng: Random) -> None:
        """Let the health check come to another result.

        Not by an exec: of a container that is paused meanwhile it hangs, and with it each inspect for ever.
        """
        pid = self.api.inspect_container(container)["State"]["Pid"]
        flag = Path(f"/proc/{pid}/root/tmp/ok")
        if pid and rng.random() < 0.5:
            flag.touch()
        elif pid:
            flag.unlink(missing_ok=True)

    def disturb(self, rng: Random, watcher: Watcher) -> str:
        """Do something to the Engine and return what it was."""
        what = rng.choice(("freeze", "kill", "kill", "restart"))
        if what == "freeze":
            watcher.stands("frozen")
            self.engine.freeze()
            time.sleep(_absence(rng))
            self.engine.thaw()
        else:
            if what == "kill":
                watcher.stands("away")
                self.engine.kill()
                time.sleep(_absence(rng))
            watcher.stands("unclear")  # it ends in its own time, and answers before we know
            self.engine.restart()
        watcher.stands("up")
        return what

    def settle(self, watcher: Watcher) -> None:
        """Do nothing: it stands."""


def _absence(rng: Random) -> float:
    """Return seconds to be away: mostly too short to be noticed, sometimes long enough to be told."""
    return rng.uniform(5, 7) if rng.random() < 0.12 else rng.uniform(0, 1.5)


def _old(engine: FakeEngine) -> bool:
    return engine.core.dialect.api < (1, 44)


@contextmanager
def fake_rig(batch: int) -> Iterator[FakeRig]:
    """Start a fake Engine; the batch chooses its version and whether containers outlive it."""
    rng = Random(f"batch {batch}")  # noqa: S311 - to be repeatable
    with FakeEngine(
        api_version=rng.choice(("1.41", "1.43", "1.47", "1.51", "1.52")), live_restore=rng.random() < 0.3
    ) as engine:
        rig = FakeRig(engine)
        try:
            yield rig
        finally:
            rig.api.close()


@contextmanager
def real_rig(batch: int) -> Iterator[RealRig]:
    """Start a real Engine; batches take turns between the lines."""
    line = os.environ.get("LAB_ENGINE_LINE") or ("20.10", "28")[batch % 2]
    with PrivateEngine(line) as engine:
        rig = RealRig(engine)
        try:
            yield rig
        finally:
            rig.api.close()


def create(rig: FakeRig | RealRig, name: str, kind: Kindred, rng: Random) -> str:
    """Create and start a container of a kind, and return its id."""
    policy, _, retries = kind.restart.partition(":")
    memory = kind.memory or rng.choice((None, "32m", "64m"))
    host = rig.api.create_host_config(
        network_mode="none",
        restart_policy={"Name": policy, "MaximumRetryCount": int(retries or 0)},
        mem_limit=memory,
        memswap_limit=memory,
        nano_cpus=rng.choice((None, 500_000_000)) if kind.restart == "no" else None,
    )
    made: str = rig.api.create_container(
        rig.image,
        ["sh", "-c", kind.script],
        name=name,
        labels={"soak": "true"},
        healthcheck=_CHECK if kind.checked else None,
        host_config=host,
    )["Id"]
    rig.prepare(made, kind)
    if rng.random() < 0.9:
        rig.api.start(made)
    return made


REFUSALS: tuple[type[Exception], ...] = (
    docker.errors.DockerException,
    requests.exceptions.RequestException,
    FileNotFoundError,  # of a container that ended meanwhile
)


def inspect_all(rig: FakeRig | RealRig) -> dict[str, dict[str, Any]]:
    """Return what the Engine says of every container, by short id; one that goes meanwhile is left out."""
    found = {}
    for listed in rig.api.containers(all=True, quiet=True):
        with contextlib.suppress(docker.errors.NotFound):
            found[listed["Id"][:12]] = rig.api.inspect_container(listed["Id"])
    return found
