"""Where the local interface is, for both of its ends; who only asks needs no server."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

RELOAD_PATH = "/-/reload"


def socket_path(run_dir: Path, role: str) -> Path:
    """Return where ``role`` listens."""
    return run_dir / f"{role}.sock"
