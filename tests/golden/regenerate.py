"""Write the golden files and docs/metrics.md anew: ``python -m tests.golden.regenerate``."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from exporter.document import metrics_page
from tests.golden import world

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def golden_text() -> str:
    """Return metrics.txt."""
    return _golden(world.TEXT)


def golden_openmetrics() -> str:
    """Return metrics.openmetrics.txt."""
    return _golden(world.OPENMETRICS)


def _golden(name: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        return world.texts(Path(folder))[name]


FILES: Mapping[Path, Callable[[], str]] = {
    ROOT / "docs/metrics.md": metrics_page,
    HERE / world.TEXT: golden_text,
    HERE / world.OPENMETRICS: golden_openmetrics,
}


def main() -> None:
    """Write the files that are not as they must be, and name them."""
    for path, made in FILES.items():
        data = made().encode()
        if not path.exists() or path.read_bytes() != data:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            sys.stdout.write(f"{path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
