"""The command line: ``scripts/soak NAME --runs N --seed S [--resume]``, ``scripts/soak --list``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from soak.campaign import Campaign, Plan, perform
from soak.inventory import InventoryCampaign

CAMPAIGNS: tuple[Campaign, ...] = (InventoryCampaign(),)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a campaign; return 1 when it found something, 2 when it does not exist."""
    options = _parser().parse_args(arguments)
    if options.list or options.name is None:
        for campaign in CAMPAIGNS:
            print(f"{campaign.name:12} {campaign.help}")
        return 0
    chosen = next((each for each in CAMPAIGNS if each.name == options.name), None)
    if chosen is None:
        print(f"no campaign '{options.name}'; see --list", file=sys.stderr)
        return 2
    plan = Plan(options.engine, options.runs, options.seed, options.minutes)
    result = perform(chosen, plan, resume=options.resume, say=lambda line: print(line, flush=True))
    print(f"{result.path}: {result.counts}")
    for found in result.violations:
        print(f"again: scripts/soak {chosen.name} --engine {plan.engine} --runs 1 --seed {found['seed']}")
    return 1 if result.violations else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("name", nargs="?", help="the campaign")
    parser.add_argument("--list", action="store_true", help="name the campaigns")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="of the first run; each next has the next one")
    parser.add_argument("--engine", choices=("fake", "real"), default="fake")
    parser.add_argument("--minutes", type=float, default=120.0, help="no run begins after this long")
    parser.add_argument(
        "--resume", action="store_true", help="go on where the last call with this seed ended"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
