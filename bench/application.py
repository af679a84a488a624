"""An application that writes lines at a rate and times each write; needs nothing but Python.

application.py RATE SECONDS RESULT
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

_LINE = b"x" * 199 + b"\n"
_STEP_SECONDS = 0.002


def main() -> None:
    """Write, and put ``lines p50 p99`` (microseconds) into a file at the end."""
    rate, seconds = float(sys.argv[1]), float(sys.argv[2])
    taken: list[float] = []
    begin = time.perf_counter()
    while (now := time.perf_counter()) - begin < seconds:
        while len(taken) < (now - begin) * rate:
            start = time.perf_counter()
            os.write(1, _LINE)
            taken.append(time.perf_counter() - start)
        time.sleep(_STEP_SECONDS)
    taken.sort()
    p50, p99 = (taken[int(len(taken) * share)] * 1e6 for share in (0.5, 0.99))
    result = Path(sys.argv[3])
    fresh = result.with_suffix(".new")
    fresh.write_text(f"{len(taken)} {p50:.1f} {p99:.1f}", encoding="utf-8")
    fresh.replace(result)


if __name__ == "__main__":
    main()
