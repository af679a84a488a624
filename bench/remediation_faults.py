"""Remediation tormented: killed at its fail points, told everything twice, and every restart counted.

Containers of a fake or a real Engine fall ill, alerts about them are sent and sent again as Alertmanager
does, and ``compose-agent remediate`` dies by SIGKILL before and after its changes of state and calls of the
Engine, and is started again, with ``--broker`` the broker too. Afterwards every acknowledged alert must have
led to exactly one restart, and nothing else to any.

    python -m bench.remediation_faults --engine fake --runs 10 --seed 1
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from traceback import format_exc

from bench.patients import Ward, fake_ward, real_ward, wait_until
from bench.redelivery import Alert, Sender, post_to
from bench.remediation_agents import ALERTS, Agents
from bench.remediation_plan import Illness, Patient, Plan, make_plan
from bench.restarts import Case, Expectation, Verdict, judge
from compose_agent.errors import StateError
from lab import LabError
from lab.engine import PrivateEngine
from lab.lines import LINES
from remediation.journal.journal import look, verify_audit
from remediation.model import LIVE

# A start takes half a second alone, and ten under load; some runs have twenty of them before all are well.
_PATIENCE_SECONDS = 300.0
_POLL_SECONDS = 0.05
# After everything has ended: something that is done twice is done by then.
_QUIET_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run."""

    engine: str
    seed: int
    good: bool
    verdict: Verdict
    kills: int
    killed_at: Mapping[str, int]
    requests: int
    refused: int
    seconds: float
    load_average: float
    faults: Sequence[str]


class Run:
    """The parts of one run, in ``home``."""

    def __init__(
        self, plan: Plan, ward: Ward, home: Path, *, broker: bool = False, forked: bool = False
    ) -> None:
        self._plan = plan
        self._ward = ward
        self._cases: list[tuple[Alert, Case]] = []
        self._problems: list[str] = []
        self.agents = Agents(plan, home, ward.host, broker=broker, forked=forked)
        self.sender = Sender(
            post_to("127.0.0.1", self.agents.port),
            (lambda _: "all") if plan.one_group else (lambda alert: str(alert.labels)),
            plan.seed,
            mischief=plan.mischief,
        )

    def perform(self) -> Verdict:
        """Torment it until everybody is well, let it rest, and judge."""
        for patient in self._plan.patients:
            self._ward.admit(patient)
        with self.agents:
            try:
                self._torment()
                self._rest()
            finally:
                self.sender.close()
        self._check_journal()
        return judge(self._acknowledged(), self._ward.events())

    @property
    def faults(self) -> Sequence[str]:
        """What else is wrong: crashes, journals that do not verify, what never ended."""
        return [*self.agents.faults, *self._problems]

    def _torment(self) -> None:
        over = threading.Event()
        with ThreadPoolExecutor(len(self._plan.patients) + 1) as pool:
            troubles = pool.submit(self._make_trouble, over)
            courses = [pool.submit(self._suffer, patient) for patient in self._plan.patients]
            for course in courses:
                course.result()
            over.set()
            troubles.result()

    def _make_trouble(self, over: threading.Event) -> None:
        began = time.monotonic()
        for trouble in sorted(self._plan.troubles, key=lambda each: each.at):
            if over.wait(max(0.0, began + trouble.at - time.monotonic())):
                return
            self._ward.trouble(trouble)

    def _suffer(self, patient: Patient) -> None:
        for illness in patient.illnesses:
            try:
                self._fall_ill(patient, illness)
            except LabError as error:
                self._problems.append(f"{patient.name}: {error}")
                return

    def _fall_ill(self, patient: Patient, illness: Illness) -> None:
        time.sleep(illness.pause)
        labels = {"alertname": ALERTS[illness.how], "name": patient.name}
        alert = Alert(tuple(labels.items()), time.time())
        self._cases.append((alert, Case(patient.name, alert.starts, illness.expects, acknowledged=False)))
        self._ward.fall_ill(patient.name, illness.how)
        self._wait_until(lambda: self._ward.is_ill(patient.name), "the Engine did not notice")
        self.sender.fire(alert)
        if illness.expects is Expectation.NONE:
            self._wait_until(lambda: alert.occurrence in self.sender.acknowledged, "it was not taken")
            return
        if illness.heals_after is not None:
            time.sleep(illness.heals_after)
            self._ward.heal(patient.name)
        self._wait_until(lambda: self._ward.is_well(patient.name), "it did not become well")
        self.sender.resolve(alert)
        if illness.end_is_told:
            self._wait_until(lambda: self.sender.is_told(alert), "its end was not taken")

    def _wait_until(self, true: Callable[[], bool], failure: str) -> None:
        """Wait long, unless the agent has ended by itself: then nothing that is waited for will come."""

        def over() -> bool:
            if self.agents.faults:
                raise LabError(f"{failure}, because an agent has ended")
            return true()

        wait_until(over, failure, _PATIENCE_SECONDS)

    def _rest(self) -> None:
        """Kill all once more, tell everything once more, and wait until nothing is left to do."""
        self.agents.kill_for_the_last_time()
        try:
            self._wait_until(self.agents.is_back, "it was not ready")
            self.sender.everything_again()
            self._wait_until(self._is_idle, "it did not come to rest")
        except LabError as error:
            self._problems.append(str(error))
        time.sleep(_QUIET_SECONDS)

    def _is_idle(self) -> bool:
        with look(self.agents.state_dir) as view:
            return view.inbox_size() == 0 and not any(view.states().get(state) for state in LIVE)

    def _check_journal(self) -> None:
        try:
            verdict = verify_audit(self.agents.state_dir)
        except StateError as error:
            self._problems.append(str(error))
            return
        if verdict.broken:
            self._problems.append(f"the audit does not verify: {verdict}")

    def _acknowledged(self) -> Iterator[Case]:
        for alert, case in self._cases:
            taken = alert.occurrence in self.sender.acknowledged
            yield Case(case.container, case.began, case.expects, acknowledged=taken)


def perform(
    engine: str, host: str, seed: int, *, broker: bool = False, forked: bool = False, keep: bool = False
) -> Outcome:
    """Do one run; ``host`` is the real Engine's address, or empty for a fake one.

    One that cannot be done to its end is not good, and has the error among its faults.
    """
    started = time.monotonic()
    plan = make_plan(seed, troubles=not host)
    try:
        return _perform(engine, host, plan, started, broker=broker, forked=forked, keep=keep)
    except Exception:  # noqa: BLE001 - the other runs go on, and this one is not good
        seconds, load = round(time.monotonic() - started, 1), round(os.getloadavg()[0], 2)
        return Outcome(engine, seed, False, Verdict(), 0, {}, 0, 0, seconds, load, [format_exc()])


def _perform(
    engine: str, host: str, plan: Plan, started: float, *, broker: bool, forked: bool, keep: bool
) -> Outcome:
    with ExitStack() as cleanup:
        home = Path(tempfile.mkdtemp(prefix="remediation-faults-"))
        if keep:
            print(f"kept: {home}", file=sys.stderr)
        else:
            cleanup.callback(shutil.rmtree, home, ignore_errors=True)
        ward = cleanup.enter_context(real_ward(host) if host else fake_ward(home))
        run = Run(plan, ward, home, broker=broker, forked=forked)
        verdict = run.perform()
        return Outcome(
            engine=engine,
            seed=plan.seed,
            good=verdict.good and not run.faults,
            verdict=verdict,
            kills=run.agents.kills,
            killed_at=run.agents.killed_at,
            requests=run.sender.requests,
            refused=run.sender.refused,
            seconds=round(time.monotonic() - started, 1),
            load_average=round(os.getloadavg()[0], 2),
            faults=run.faults,
        )


@contextmanager
def engine_host(engine: str, line: str) -> Iterator[str]:
    """Yield the address of a real Engine for all runs; empty when each has a fake one of its own."""
    if engine == "fake":
        yield ""
        return
    with PrivateEngine(line) as private:
        yield private.host


def main(argv: Sequence[str] | None = None) -> int:
    """Perform a run for each seed and print JSON for each, and a sum; 1 if anything was lost or doubled."""
    asked = _arguments(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # with everything cleaned up
    outcomes: list[Outcome] = []
    with engine_host(asked.engine, asked.engine_line) as host, ProcessPoolExecutor(asked.parallel) as pool:
        seeds = range(asked.seed, asked.seed + asked.runs)
        once = partial(perform, asked.engine, host, broker=asked.broker, forked=asked.forked, keep=asked.keep)
        pending = [pool.submit(once, seed) for seed in seeds]
        for each in pending:
            outcomes.append(each.result())
            print(json.dumps(asdict(outcomes[-1])), flush=True)
    print(json.dumps(total(outcomes)))
    for outcome in outcomes:
        if not outcome.good:
            how = f"--engine {asked.engine}{' --broker' if asked.broker else ''}"
            again = f"python -m bench.remediation_faults {how} --seed {outcome.seed} --keep"
            print(f"seed {outcome.seed} is not good; again with: {again}", file=sys.stderr)
    return 0 if all(outcome.good for outcome in outcomes) else 1


def total(outcomes: Sequence[Outcome]) -> Mapping[str, object]:
    """Return the sums over all runs, and how often which fail point killed."""
    counted: Mapping[str, Callable[[Outcome], int]] = {
        "runs": lambda _: 1,
        "bad": lambda each: not each.good,
        "kills": lambda each: each.kills,
        "cases": lambda each: each.verdict.cases,
        "acknowledged": lambda each: each.verdict.acknowledged,
        "cycles": lambda each: each.verdict.cycles,
        "lost": lambda each: each.verdict.lost,
        "doubled": lambda each: each.verdict.doubled,
        "unasked": lambda each: each.verdict.unasked,
    }
    points = sum((Counter(each.killed_at) for each in outcomes), Counter())
    sums = {name: sum(map(count, outcomes)) for name, count in counted.items()}
    return {**sums, "killed_at": dict(sorted(points.items()))}


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", choices=("fake", "real"), default="fake")
    parser.add_argument("--engine-line", choices=LINES, default=LINES[-1])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=1, help="so many seeds, from the first one on")
    parser.add_argument("--parallel", type=int, default=2, help="so many runs at once")
    parser.add_argument("--broker", action="store_true", help="with a broker, which is killed as well")
    parser.add_argument("--forked", action="store_true", help="starts do not import the program anew")
    parser.add_argument("--keep", action="store_true", help="keep the folders: log, state, policies")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
