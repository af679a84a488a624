"""The counting server as a program."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from log_forwarder.fake.forward import ForwardServer, server_context

# Before any thread starts, so that every thread inherits it and the signal waits for ``sigwait``.
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT, then print the counts; with ``--unpack`` also by tag."""
    options = _parser().parse_args(arguments)
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    tags: Counter[str] = Counter()
    server = ForwardServer(
        options.port,
        on_event=(lambda tag, _time, _record: tags.update((tag,))) if options.unpack else None,
        shared_key=options.shared_key,
        tls=server_context(options.cert, options.key) if options.cert else None,
    )
    with server:
        _say(f"READY 127.0.0.1:{server.port}")
        signal.sigwait(_SIGNALS)
    _say(json.dumps({**asdict(server.tally()), **({"tags": dict(tags)} if options.unpack else {})}))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m log_forwarder.fake.forward")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: any free one)")
    parser.add_argument("--shared-key", help="ask clients for this key")
    parser.add_argument("--cert", type=Path, help="speak TLS with this certificate")
    parser.add_argument("--key", type=Path, help="private key of the certificate")
    parser.add_argument("--unpack", action="store_true", help="unpack every event instead of counting")
    return parser


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
