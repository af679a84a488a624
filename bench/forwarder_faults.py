"""The log forwarder tormented: kills, outages of its sink, Docker's rotation, and every line counted.

A writer imitates dockerd, ``compose-agent forward`` ships to a real or a recording sink; the forwarder is
killed at random moments, the sink is killed, frozen, or dies in the middle of an acknowledgement. Afterwards
nothing may be missing, nothing may be stored twice (at a sink that cannot tell: only what was not confirmed
at a kill, and under the same id), no text may be damaged, and the order in each stream is kept.

    python -m bench.forwarder_faults --sink forward --seed 1 [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from bench.forwarder_process import Forwarder
from bench.ledger import Ledger, Span, Verdict
from bench.plan import Plan, Scale, make_plan
from bench.stores import KINDS, Store, make_store

QUICK = Scale(kills=3, outages=2, longest_outage=3.0, calm_between=2.0, least_seconds=9.0)
# Docker must not remove a file while the forwarder starts: the fastest container fills one in four seconds.
QUICK_RATE, QUICK_SIZE = 4_000.0, "2m"
# Nothing arrives for so long: then it is counted; and if something is missing, waited for once more.
_QUIET_SECONDS = 5.0
# A sink that was away is tried again every five seconds, and a start under load takes its time.
_GIVE_UP_QUIET_SECONDS = 45.0
# The slowest sink takes a few thousand lines a second when it shares two cores with everything else.
_SLOWEST_RATE = 2_000.0
_LONGEST_START_SECONDS = 120.0
_POLL_SECONDS = 0.5
_LONG_EVERY = 2_000


# When, in seconds after the beginning, and what.
Moment = tuple[float, Callable[[], None]]


@dataclass(frozen=True, slots=True)
class Setup:
    """One run: which sink, which seed, how many lines a second, and how much goes wrong."""

    sink: str
    seed: int
    rate: float
    scale: Scale
    max_size: str
    options: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run."""

    sink: str
    seed: int
    good: bool
    verdict: Verdict
    rotations: int
    kills: int
    outages: int
    gaps: float
    seconds: float
    load_average: float
    remark: str


class Run:
    """The parts of one run, in ``home``."""

    def __init__(self, setup: Setup, home: Path, cleanup: ExitStack) -> None:
        self._setup = setup
        self._cleanup = cleanup
        self._root = home / "docker"
        self.store: Store = make_store(setup.sink, home, cleanup)
        options = ("--spool.size", "2GB", *setup.options)
        self.forwarder = Forwarder(self._root, home, [self.store.word], options)
        cleanup.callback(self.forwarder.close)
        self.plan = make_plan(setup.seed, setup.scale, self.store.ways)
        self.spans: list[Span] = []
        self.gaps = 0.0
        self._lost_at = 0.0

    def torment(self) -> list[Mapping[str, int | str]]:
        """Write and disturb; return what was written, container by container."""
        self._root.mkdir()
        (self._root / "containers").mkdir()
        self.forwarder.start()
        self.forwarder.wait_ready()
        writer = self._writer()
        with ThreadPoolExecutor(1) as pool:
            abort = threading.Event()
            outages = pool.submit(act, outage_times(self.plan, self), abort)
            try:
                act(kill_times(self.plan, self), abort)
                outages.result()
            finally:
                abort.set()  # or the pool would wait for every outage that is still to come
        said, _ = writer.communicate(timeout=self.plan.seconds * 2 + _LONGEST_START_SECONDS)
        written: list[Mapping[str, int | str]] = json.loads(said)["containers"]
        return written

    def wait_and_verify(self, lines: Mapping[str, int]) -> Verdict:
        """Wait until everything has arrived, or nothing more does, and stop the forwarder; then compare."""
        deadline = time.monotonic() + _LONGEST_START_SECONDS + sum(lines.values()) / _SLOWEST_RATE
        quiet = _QUIET_SECONDS
        while quiet <= _GIVE_UP_QUIET_SECONDS:
            self._wait_until_quiet(quiet, deadline)
            if not self._compare(lines).lost or time.monotonic() > deadline:
                break
            quiet *= 3
        self._note_gaps()
        self.forwarder.stop()
        return self._compare(lines)

    def kill(self) -> None:
        """Kill the forwarder."""
        self._note_gaps()
        self.forwarder.kill()
        now = time.monotonic()
        self.spans.append(Span(now, now))

    def start(self) -> None:
        """Start the forwarder again."""
        self.forwarder.start()

    def lose(self, how: str) -> None:
        """Begin an outage."""
        self._lost_at = time.monotonic()
        self.store.lose(how)

    def bring_back(self) -> None:
        """End the outage."""
        self.store.bring_back()
        self.spans.append(Span(self._lost_at, time.monotonic()))

    def _note_gaps(self) -> None:
        """Add what this life of the forwarder says about lines that Docker removed before it read them."""
        self.gaps += self.forwarder.metric("log_forwarder_gaps_total")

    def _writer(self) -> subprocess.Popen[str]:
        setup = self._setup
        lines = int(setup.rate * self.plan.seconds)
        command = [sys.executable, "-m", "bench.dockerlogs", f"--root={self._root}", f"--lines={lines}"]
        command += [f"--rate={setup.rate}", f"--seed={setup.seed}", f"--long-every={_LONG_EVERY}"]
        command += [f"--max-size={setup.max_size}", "--max-file=3"]
        if setup.seed % 2:
            command.append("--compress")
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._cleanup.callback(_end, writer)
        return writer

    def _wait_until_quiet(self, quiet: float, deadline: float) -> None:
        last, since = -1, time.monotonic()
        while time.monotonic() < min(deadline, since + quiet):
            self.forwarder.check()
            if (now := self.store.progress()) != last:
                last, since = now, time.monotonic()
            time.sleep(_POLL_SECONDS)

    def _compare(self, lines: Mapping[str, int]) -> Verdict:
        ledger = Ledger(lines, self.spans, long_every=_LONG_EVERY, ordered=self.store.ordered)
        for arrival in self.store.arrivals():
            ledger.take(arrival)
        return ledger.verdict()


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def kill_times(plan: Plan, run: Run) -> list[Moment]:
    """Return when the forwarder is killed and started again."""
    return [
        moment for kill in plan.kills for moment in ((kill.at, run.kill), (kill.at + kill.pause, run.start))
    ]


def outage_times(plan: Plan, run: Run) -> list[Moment]:
    """Return when the sink is lost and brought back."""
    return [
        moment
        for outage in plan.outages
        for moment in (
            (outage.at, partial(run.lose, outage.how)),
            (outage.at + outage.seconds, run.bring_back),
        )
    ]


def act(moments: Sequence[Moment], abort: threading.Event) -> None:
    """Do everything at its time; what takes long delays the rest, so that the pauses stay as they are."""
    started = time.monotonic()
    for at, action in moments:
        if abort.wait(max(0.0, started + at - time.monotonic())):
            return
        begun = time.monotonic()
        action()
        started += time.monotonic() - begun


def perform(setup: Setup, *, keep: bool = False) -> Outcome:
    """Do one run in a folder of its own, which is left behind if ``keep`` is set or something is wrong."""
    home = Path(tempfile.mkdtemp(prefix="forwarder-faults-"))
    started = time.monotonic()
    good = False
    try:
        outcome = _performed(setup, home, started)
        good = outcome.good
    finally:
        if keep or not good:
            print(f"kept: {home}", file=sys.stderr)
        else:
            shutil.rmtree(home, ignore_errors=True)
    return outcome


def _performed(setup: Setup, home: Path, started: float) -> Outcome:
    with ExitStack() as cleanup:
        run = Run(setup, home, cleanup)
        written = run.torment()
        verdict = run.wait_and_verify({str(each["id"])[:12]: int(each["lines"]) for each in written})
        return Outcome(
            sink=setup.sink,
            seed=setup.seed,
            good=verdict.good(exactly_once=run.store.exactly_once),
            verdict=verdict,
            rotations=sum(int(each["rotations"]) for each in written),
            kills=len(run.plan.kills),
            outages=len(run.plan.outages),
            gaps=run.gaps,
            seconds=round(time.monotonic() - started, 1),
            load_average=round(os.getloadavg()[0], 2),
            remark=run.store.remark(),
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Perform a run for each seed, print JSON for each and a table; 1 if any has lost or repeated a line."""
    asked = _arguments(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # with everything cleaned up
    outcomes = []
    for seed in range(asked.seed, asked.seed + asked.runs):
        outcomes.append(perform(_setup(asked, seed), keep=asked.keep))
        print(json.dumps(asdict(outcomes[-1])), flush=True)
    print(table(outcomes))
    return 0 if all(outcome.good for outcome in outcomes) else 1


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the outcomes, one in a row."""
    names = [*_cells(outcomes[0])]
    lines = [names, *([str(_cells(outcome)[name]) for name in names] for outcome in outcomes)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    return "\n".join(
        "  ".join(f"{cell:>{width}}" for cell, width in zip(line, widths, strict=True)) for line in lines
    )


def _cells(outcome: Outcome) -> dict[str, object]:
    known = asdict(outcome)
    verdict = known.pop("verdict")
    verdict.pop("examples")
    return {**known, **verdict}


def _setup(asked: argparse.Namespace, seed: int) -> Setup:
    scale = QUICK if asked.quick else Scale(asked.kills, asked.outages, asked.longest_outage)
    rate = QUICK_RATE if asked.quick else asked.rate
    return Setup(asked.sink, seed, rate, scale, QUICK_SIZE if asked.quick else asked.max_size, asked.option)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sink", choices=KINDS, default="forward")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=1, help="so many seeds, from the first one on")
    parser.add_argument("--rate", type=float, default=20_000.0, help="lines a second of four containers")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--outages", type=int, default=10)
    parser.add_argument("--longest-outage", type=float, default=30.0)
    parser.add_argument("--max-size", default="10m")
    parser.add_argument("--quick", action="store_true", help="a minute, with smaller numbers")
    parser.add_argument("--keep", action="store_true", help="keep the folders: logs, state, journals")
    parser.add_argument("--option", action="append", default=[], help="a further option of the forwarder")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
