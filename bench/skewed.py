"""``compose-agent`` with a clock that is wrong: by ``BENCH_SKEW_SECONDS``, for the time of day alone."""

from __future__ import annotations

import os
import time

VARIABLE = "BENCH_SKEW_SECONDS"


def main() -> None:
    """Run the program."""
    skew, right = float(os.environ.get(VARIABLE, "0")), time.time
    time.time = lambda: right() + skew
    from compose_agent.cli import main as program  # noqa: PLC0415 - with the clock as it is now

    program()


if __name__ == "__main__":
    main()
