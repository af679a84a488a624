"""``compose-agent role NAME``: what the supervisor starts; configuration comes on standard input."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace

import click

from compose_agent.commands.roles import ROLES, SCHEMA, role_named
from compose_agent.commands.signals import Signals
from compose_agent.config.wire import decode_revision
from compose_agent.role import RoleSpec, share_name
from compose_agent.runner import Runner, configure_logs
from compose_agent.units import STOP_SECONDS

_STDIN = 0
_READ_BYTES = 65536


@click.command("role", hidden=True)
@click.argument("name", type=click.Choice([role.name for role in ROLES]))
@click.option("--share", default="", help="Part of the role's work, such as 0/4.")
def command(name: str, share: str) -> None:
    """Run one role under a supervisor; it stops when standard input closes: the supervisor is gone."""
    signals = Signals()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it is its supervisor's to reload
    revision, config = decode_revision(_line_of_input(), SCHEMA)
    spec = _spec(name, share)
    configure_logs(config, spec.name)
    runner = Runner(spec, SCHEMA, config, revision=revision)
    runner.start()
    threading.Thread(
        target=_stop_at_end_of_input, args=(signals.stop,), name="supervisor-watch", daemon=True
    ).start()
    signals.stop.wait()
    runner.stop()


def _spec(name: str, share: str) -> RoleSpec:
    """Return a role, or the role of one process of several that share its work."""
    spec = role_named(name)
    if not share or (make_share := spec.make_share) is None:
        return spec
    return replace(
        spec,
        name=share_name(name, share),
        make=lambda config, state: make_share(config, state, share),
    )


# The descriptor itself is read: a thread that waits in sys.stdin's lock would break the interpreter's exit.


def _line_of_input() -> bytes:
    line = b""
    while not line.endswith(b"\n") and (more := os.read(_STDIN, _READ_BYTES)):
        line += more
    return line


def _stop_at_end_of_input(stop: threading.Event) -> None:
    while os.read(_STDIN, _READ_BYTES):
        pass
    stop.set()
    # Nobody is left who would end a role that takes too long, and the next start waits for its state.
    time.sleep(STOP_SECONDS)
    os._exit(1)
