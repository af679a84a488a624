"""Watching a roll-out from the terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import click

from compose_agent.commands.config.asking import ROLLOUTS, ask
from compose_agent.dockerd.overview import words
from compose_agent.web.localclient import LocalClient

_LOOK_SECONDS = 0.5
# In these nothing happens by itself any more.
_AT_REST = frozenset({"done", "reverted", "held", "paused"})


def follow(client: LocalClient, number: int, *, quiet: bool = False) -> dict[str, Any]:
    """Print a line for each change of a roll-out until it rests, and return it."""
    before = ""
    while True:
        rollout = ask(client, "GET", f"{ROLLOUTS}/{number}")
        now = line(rollout)
        if now != before and not quiet:
            click.echo(words.printable(now))
        if rollout["phase"] in _AT_REST:
            return rollout
        before = now
        time.sleep(_LOOK_SECONDS)


def line(rollout: Mapping[str, Any]) -> str:
    """Return how a roll-out stands."""
    agents = ", ".join(f"{count} {state}" for state, count in rollout["agents"].items() if count)
    batch = f", batch {rollout['batch']} of {rollout['batches']}" if rollout["batches"] else ""
    reason = f": {rollout['reason']}" if rollout["reason"] else ""
    return f"roll-out {rollout['id']} {rollout['phase']}{batch} ({agents or 'no agents'}){reason}"
