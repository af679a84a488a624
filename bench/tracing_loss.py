"""Traces of remediations while everybody is killed and the collector goes away again and again.

Remediation and its broker die by SIGKILL at their fail points, as in ``bench.remediation_faults``, and export
to a collector that refuses connections, answers 503, 429 with Retry-After, late, or takes spans and hangs up
before it says so. When all is over and the collector has been well for long enough, the trace of every action
must be there as a whole tree, and for each process ``created = exported + spooled + dropped``.

    python -m bench.tracing_loss --runs 5 --seed 1 --patients 12 --illnesses 18
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from bench.patients import fake_ward, wait_until
from bench.remediation_faults import Run
from bench.remediation_plan import Doom, How, Illness, Patient, Plan, make_plan
from bench.restarts import Expectation
from bench.trees import Trees, judge
from compose_agent.tracing.fake.collector import Behaviour, FakeCollector
from compose_agent.tracing.ledger import Account
from compose_agent.tracing.reading import account_of
from lab.loopback import free_port
from remediation.journal.journal import look

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_OUTAGES = (
    Behaviour(status=503),
    Behaviour(status=429, retry_after="1"),
    Behaviour(seconds=1.5),
    Behaviour(hang_up=True),
    None,  # nobody listens
)
# The longest pause between two attempts, and a little more.
_DRAIN_SECONDS = 90.0
_MOST_INTENTS = 100_000
_LIVES = 10


class _TracedRun(Run):
    """Waits at its end until everything is exported."""

    def __init__(self, plan: Plan, home: Path, outages: Outages, **parts: object) -> None:
        super().__init__(plan, home=home, **parts)  # type: ignore[arg-type]
        self._outages = outages
        self._folders = [
            home / "state" / "traces" / "remediation",
            home / "broker-state" / "traces" / "broker",
        ]

    def _rest(self) -> None:
        super()._rest()
        self._outages.end()
        wait_until(lambda: not any(each.spooled for each in self.accounts()), "not exported", _DRAIN_SECONDS)

    def accounts(self) -> Sequence[Account]:
        """Return the accounts of both processes."""
        return [account_of(each) for each in self._folders]


class Outages:
    """A collector that is well and unwell in turns, for a second or so each."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)  # noqa: S311 - the same seed, the same outages
        self._over = threading.Event()
        self._port = free_port()
        self.collector = FakeCollector(self._port)
        self.count = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self.collector.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self.collector.__exit__(None, None, None)

    def end(self) -> None:
        """Be well from now on."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._dice.uniform(0.5, 2.0)):
            outage = self._dice.choice(_OUTAGES)
            self.count += 1
            if outage is None:
                self.collector.__exit__(None, None, None)
                self._over.wait(self._dice.uniform(0.5, 3.0))
                self.collector.__enter__()
                continue
            self.collector.behave(outage)
            self._over.wait(self._dice.uniform(0.5, 3.0))
            self.collector.behave(Behaviour())


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run.

    ``exact``: both accounts add up, and as many different spans have ``arrived`` as were exported.
    """

    seed: int
    good: bool
    trees: Trees
    accounts: Sequence[Account]
    arrived: int
    exact: bool
    kills: int
    outages: int
    faults: Sequence[str]
    seconds: float
    load_average: float


def perform(seed: int, patients: int, illnesses: int) -> Outcome:
    """Do one run."""
    began = time.monotonic()
    with ExitStack() as cleanup:
        home = Path(tempfile.mkdtemp(prefix="tracing-loss-"))
        cleanup.callback(shutil.rmtree, home, ignore_errors=True)
        outages = cleanup.enter_context(Outages(seed))
        os.environ[_ENDPOINT] = outages.collector.url
        ward = cleanup.enter_context(fake_ward(home))
        run = _TracedRun(_plan(seed, patients, illnesses), home, outages, ward=ward, broker=True)
        run.perform()
        with look(run.agents.state_dir) as view:
            intents = [intent for _, intent in view.latest_intents(_MOST_INTENTS)]
        trees, accounts = judge(intents, outages.collector.spans), run.accounts()
        arrived = len(outages.collector.spans) - outages.collector.repeated()
        exact = all(_adds_up(each) for each in accounts) and arrived == sum(
            each.exported for each in accounts
        )
        return Outcome(
            seed=seed,
            good=trees.share >= 0.999 and exact and not run.faults,
            trees=trees,
            accounts=accounts,
            arrived=arrived,
            exact=exact,
            kills=run.agents.kills,
            outages=outages.count,
            faults=run.faults,
            seconds=round(time.monotonic() - began, 1),
            load_average=round(os.getloadavg()[0], 2),
        )


def _plan(seed: int, patients: int, illnesses: int) -> Plan:
    dice = random.Random(seed)  # noqa: S311
    ill = [
        Patient(
            f"t{seed}-{number}",
            opted_in=True,
            deaf=False,
            stop_takes=dice.choice((0.0, 0.1)),
            start_takes=0.0,
            illnesses=[
                Illness(dice.choice(tuple(How)), Expectation.ONE, pause=dice.uniform(0.0, 0.3))
                for _ in range(illnesses)
            ],
        )
        for number in range(patients)
    ]
    dooms = [Doom(dice.choice((0.003, 0.01, 0.03)), dice.choice(("", "actor."))) for _ in range(_LIVES)]
    return replace(make_plan(seed, troubles=False), patients=ill, dooms=dooms, longest_pause=0.3)


def _adds_up(account: Account) -> bool:
    return account.created == account.exported + account.spooled + sum(account.dropped.values())


def main(argv: Sequence[str] | None = None) -> int:
    """Perform a run for each seed, print JSON for each, and a sum; 1 if anything is missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--patients", type=int, default=12)
    parser.add_argument("--illnesses", type=int, default=18)
    asked = parser.parse_args(argv)
    outcomes: list[Outcome] = []
    for seed in range(asked.seed, asked.seed + asked.runs):
        outcomes.append(perform(seed, asked.patients, asked.illnesses))
        print(json.dumps(_plain(outcomes[-1])), flush=True)
    print(json.dumps(total(outcomes)))
    return 0 if all(each.good for each in outcomes) else 1


def _plain(outcome: Outcome) -> Mapping[str, object]:
    accounts = [{name: getattr(each, name) for name in each.__struct_fields__} for each in outcome.accounts]
    return {**asdict(replace(outcome, accounts=())), "accounts": accounts}


def total(outcomes: Sequence[Outcome]) -> Mapping[str, object]:
    """Return the sums over all runs."""
    intents = sum(each.trees.intents for each in outcomes)
    complete = sum(each.trees.complete for each in outcomes)
    return {
        "runs": len(outcomes),
        "bad": sum(not each.good for each in outcomes),
        "remediations": intents,
        "complete": complete,
        "complete_percent": round(100 * complete / intents, 3) if intents else 100.0,
        "repeated_spans": sum(each.trees.repeated for each in outcomes),
        "spans": sum(account.created for each in outcomes for account in each.accounts),
        "kills": sum(each.kills for each in outcomes),
        "outages": sum(each.outages for each in outcomes),
        "accounts_exact": all(each.exact for each in outcomes),
    }


if __name__ == "__main__":
    sys.exit(main())
