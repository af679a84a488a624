"""Reload the log forwarder again and again under load, and count every line.

    python -m bench.forwarder_reloads --reloads 100 --rate 10000

Each reload changes the sink's options, so that its lane is stopped and another goes on in its place.  The
sink cannot tell copies apart; none may come.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.forwarder_process import Forwarder
from bench.ledger import Ledger
from bench.stores import ForwardStore
from compose_agent.web.localclient import LocalClient

_QUIET_SECONDS = 3.0
_WAIT_SECONDS = 60.0
_POLL_SECONDS = 0.25
# Docker's files are looked at five times a second; lines are written all the time.
_PAUSE_SECONDS = 0.1


def main(argv: Sequence[str] | None = None) -> int:
    """Run it and print what was found; the exit status tells whether all is well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--reloads", type=int, default=100)
    parser.add_argument("--rate", type=float, default=10_000.0)
    parser.add_argument("--max-size", default="10m")
    asked = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as cleanup:
        found = campaign(Path(folder), cleanup, asked)
    print(json.dumps({**found, "load_average": os.getloadavg()[0]}))
    return int(any(found[each] for each in ("lost", "repeated", "corrupted", "disordered", "refused")))


def campaign(home: Path, cleanup: ExitStack, asked: argparse.Namespace) -> dict[str, int]:
    """Write, reload, wait, and compare."""
    root = home / "docker"
    (root / "containers").mkdir(parents=True)
    store = ForwardStore(home, cleanup)
    file = home / "compose-agent.yml"
    _configure(file, store.word, 0)
    forwarder = Forwarder(root, home, [], ["--config.file", str(file)])
    cleanup.callback(forwarder.close)
    forwarder.start()
    forwarder.wait_ready()
    client = LocalClient(home / "state" / "run", "logs", timeout=30.0)
    writer = _writer(root, asked)
    cleanup.callback(writer.kill)
    refused = reload_often(client, file, store.word, asked.reloads)
    writer.terminate()
    said, _ = writer.communicate(timeout=_WAIT_SECONDS)
    lines = {str(each["id"])[:12]: int(each["lines"]) for each in json.loads(said)["containers"]}
    _wait_until_quiet(store)
    forwarder.stop()
    ledger = Ledger(lines, [], long_every=0, ordered=True)
    for arrival in store.arrivals():
        ledger.take(arrival)
    verdict = ledger.verdict()
    return {
        "reloads": asked.reloads,
        "refused": refused,
        "written": verdict.written,
        "lost": verdict.lost,
        "repeated": verdict.repeated,
        "corrupted": verdict.corrupted,
        "disordered": verdict.disordered,
    }


def reload_often(client: LocalClient, file: Path, word: str, times: int) -> int:
    """Change the configuration and have it applied so many times; return how many failed."""
    revision = client.ready().revision
    failed = 0
    for number in range(1, times + 1):
        _configure(file, word, number)
        before, revision = revision, client.reload()
        failed += revision <= before
        time.sleep(_PAUSE_SECONDS)
    return failed


def _configure(file: Path, word: str, number: int) -> None:
    fresh = file.with_suffix(".new")
    fresh.write_text(f"logs:\n  sink: ['{word}?window={4 + number % 3}']\n", encoding="utf-8")
    fresh.replace(file)


def _writer(root: Path, asked: argparse.Namespace) -> subprocess.Popen[str]:
    """Start a writer that goes on until it is told to stop."""
    seconds = asked.reloads * (_PAUSE_SECONDS + 1) + _WAIT_SECONDS
    command = [sys.executable, "-m", "bench.dockerlogs", f"--root={root}", f"--rate={asked.rate}"]
    command += [f"--lines={int(asked.rate * seconds)}", f"--max-size={asked.max_size}", "--max-file=3"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _wait_until_quiet(store: ForwardStore) -> None:
    """Wait until nothing arrives any more, within bounds."""
    deadline = time.monotonic() + _WAIT_SECONDS
    last, since = -1, time.monotonic()
    while time.monotonic() < min(deadline, since + _QUIET_SECONDS):
        if (now := store.progress()) != last:
            last, since = now, time.monotonic()
        time.sleep(_POLL_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
