"""The exporter's picture under random operations on containers and faults of the Engine.

An exporter runs as a process of its own for ten runs and is scraped all the while. At the end of each run,
within five seconds of the last disturbance, its picture must equal the Engine's; ``/metrics`` must always
have answered in time, ``docker_up`` must have told the truth, and memory and descriptors must not grow.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from random import Random

from lab.agent import Agent
from soak.campaign import Outcome, Run
from soak.picture import differences, expected, shown
from soak.rigs import CONTAINERS, REFUSALS, FakeRig, RealRig, create, fake_rig, inspect_all, real_rig
from soak.watch import SCRAPE_TIMEOUT_OPTION, Watcher, descriptors, memory_bytes

# Runs with one Engine and one exporter: enough to see growth, few enough that a replay has the same history.
BATCH = 10
# What is promised after the last disturbance, and the time that reading and comparing takes.
AGREED_SECONDS = 5.0
_POLL_SECONDS = 0.1
# Python's heap settles in the first runs; what comes on top in ten must be noise.
WARM_RUNS = 2
MEMORY_GROWTH_BYTES = 16 << 20
# Connections of scrapes and stats calls under way; ten runs that leaked one each would be above.
DESCRIPTOR_GROWTH = 8
_PARALLEL = 4
_STOP_SECONDS = 1
# Steps of a run and containers at its start, by Engine.
_SIZES = {"fake": ((15, 40), (3, 12)), "real": ((10, 20), (2, 6))}


class InventoryCampaign:
    """Registered in ``soak.__main__``."""

    name = "inventory"
    help = "random operations and Engine faults under an exporter that is scraped; --engine fake|real"

    @contextmanager
    def open(self, engine: str) -> Iterator[Run]:
        """Prepare nothing; an Engine and an exporter come with each batch."""
        bench = _Bench(engine)
        try:
            yield bench.run
        finally:
            bench.close()


class _Bench:
    """The Engine and the exporter of the present batch."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._batch: int | None = None
        self._parts = ExitStack()
        self._rig: FakeRig | RealRig
        self._agent: Agent
        self._measured: list[tuple[int, int]] = []

    def run(self, seed: int) -> Outcome:
        """Carry one run out; everything it does is chosen by the seed."""
        if seed // BATCH != self._batch:
            self._renew(seed // BATCH)
        rng = Random(seed)  # noqa: S311 - to be repeatable
        with Watcher(self._agent) as watcher:
            watcher.stands("up")
            play = _Play(self._rig, watcher, rng, _SIZES[self._engine])
            play.perform()
            violations = self._end(play, watcher)
        counts = play.counts + Counter(scrapes=watcher.scrapes)
        return Outcome(counts, (*watcher.violations[:5], *violations, *self._growth(), *self._log()))

    def close(self) -> None:
        """End the exporter and the Engine."""
        self._parts.close()

    def _renew(self, batch: int) -> None:
        self._parts.close()
        self._parts = ExitStack()
        rig: FakeRig | RealRig
        if self._engine == "fake":
            rig = self._parts.enter_context(fake_rig(batch))
        else:
            rig = self._parts.enter_context(real_rig(batch))
        agent = Agent(rig.url, [SCRAPE_TIMEOUT_OPTION])
        self._agent = self._parts.enter_context(agent)
        agent.wait_ready()
        self._rig, self._batch, self._measured, self._read = rig, batch, [], 0

    def _end(self, play: _Play, watcher: Watcher) -> list[str]:
        """Return what differs 5 s after the last disturbance, and what is left when all are removed."""
        self._rig.settle(watcher)
        found = list(self._disagreement())
        try:
            play.remove_all()
        except REFUSALS:
            # A real one that was killed may be left with a container that it can never end.
            play.counts["engine stuck"] += 1
            self._batch = None
            return found
        return [*found, *(f"after removal: {each}" for each in self._disagreement())]

    def _disagreement(self) -> list[str]:
        deadline = time.monotonic() + AGREED_SECONDS
        while True:
            late = time.monotonic() > deadline
            before = inspect_all(self._rig)
            picture, up = shown(self._agent.get())
            after = inspect_all(self._rig)
            truths = [{key: expected(raw) for key, raw in each.items()} for each in (before, after)]
            found = list(differences(truths[1], picture))
            # A container that changes while it is looked at proves nothing, but for a while only.
            if up == 1 and (not found or not list(differences(truths[0], picture))):
                return []
            if late and truths[0] == truths[1]:
                return found or [f"docker_up is {up:g}"]
            if time.monotonic() > deadline + 2 * AGREED_SECONDS:
                return [f"no moment without a change to compare in; at last: {found}"]
            time.sleep(_POLL_SECONDS)

    def _growth(self) -> Iterator[str]:
        assert self._agent.process is not None
        pid = self._agent.process.pid
        self._measured.append((memory_bytes(pid), descriptors(pid)))
        if len(self._measured) <= WARM_RUNS:
            return
        memory, opened = self._measured[-1]
        memory_first, opened_first = self._measured[WARM_RUNS - 1]
        if memory > memory_first + MEMORY_GROWTH_BYTES:
            yield f"memory grew from {memory_first >> 20} to {memory >> 20} MiB in {len(self._measured)} runs"
        if opened > opened_first + DESCRIPTOR_GROWTH:
            yield f"descriptors grew from {opened_first} to {opened} in {len(self._measured)} runs"

    def _log(self) -> Iterator[str]:
        """Yield what the exporter logged since the last run that only a fault of its own makes it say."""
        text = self._agent.log.read_text(encoding="utf-8", errors="replace")
        fresh, self._read = text[self._read :], len(text)
        for line in fresh.splitlines():
            if "Traceback" in line or "level=error" in line:
                yield f"logged: {line[:1500]}"


class _Play:
    """The operations of one run."""

    def __init__(
        self,
        rig: FakeRig | RealRig,
        watcher: Watcher,
        rng: Random,
        sizes: tuple[tuple[int, int], tuple[int, int]],
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._rig = rig
        self._watcher = watcher
        self._rng = rng
        self._steps = rng.randint(*sizes[0])
        self._first = rng.randint(*sizes[1])
        self._named = 0
        self._ids: list[str] = []

    def perform(self) -> None:
        """Make containers, then disturb them and the Engine in a random order."""
        for _ in range(self._first):
            self._do("create", self._rng)
        for _ in range(self._steps):
            chance = self._rng.random()
            if chance < 0.15:
                self.counts[f"engine {self._rig.disturb(self._rng, self._watcher)}"] += 1
            elif chance < 0.25:
                self._burst()
            else:
                self._do(self._choose(), self._rng)
            time.sleep(self._rng.choice((0, 0, 0.01, 0.05, 0.2)))

    def remove_all(self) -> None:
        """Remove every container that is left."""
        for container in inspect_all(self._rig):
            self._rig.api.remove_container(container, force=True, v=True)

    def _burst(self) -> None:
        """Do several things at once, each with a generator of its own, so that their order changes none."""
        jobs = [
            (self._choose(), Random(self._rng.random()))  # noqa: S311 - to be repeatable
            for _ in range(self._rng.randint(3, 8))
        ]
        with ThreadPoolExecutor(_PARALLEL) as pool:
            list(pool.map(lambda job: self._do(*job), jobs))

    def _choose(self) -> str:
        return self._rng.choice(
            ("create", "start", "start", "stop", "kill", "restart", "pause", "unpause", "unpause", "rename",
             "update", "crash", "crash", "health", "remove")
        )  # fmt: skip

    def _do(self, what: str, rng: Random) -> None:
        try:
            if what == "create":
                self._create(rng)
            elif self._ids:
                self._operate(what, rng.choice(self._ids), rng)
            self.counts[what] += 1
        except (*REFUSALS, *self._fake_refusals()):
            self.counts["refused"] += 1

    def _create(self, rng: Random) -> None:
        self._named += 1
        kind = CONTAINERS[rng.choice(list(CONTAINERS))]
        self._ids.append(create(self._rig, f"soak-{self._named}", kind, rng))

    def _operate(self, what: str, container: str, rng: Random) -> None:
        api = self._rig.api
        if what in ("crash", "health"):
            {"crash": self._rig.crash, "health": self._rig.health}[what](container, rng)
        elif what in ("stop", "restart"):
            {"stop": api.stop, "restart": api.restart}[what](container, timeout=_STOP_SECONDS)
        elif what == "rename":
            api.rename(container, f"renamed-{rng.randrange(10**6)}")
        elif what == "update":
            memory = rng.choice((40, 48, 56)) << 20
            api.update_container(container, mem_limit=memory, memswap_limit=memory)
        elif what == "remove":
            self._ids.remove(container)
            api.remove_container(container, force=True, v=True)
        else:
            getattr(api, what)(container)

    def _fake_refusals(self) -> tuple[type[Exception], ...]:
        from compose_agent.dockerd.fake.errors import ApiError  # noqa: PLC0415 - the fake's own way to refuse

        return (ApiError, ValueError)
