"""Files that come with the program and are no code: alert rules, policies."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped(path: str) -> Path:
    """Return the place of a file or folder such as ``alerts/remediation.yml``.

    In a wheel these folders lie within the package, in a checkout beside it.
    """
    packed = _PACKAGE / "shipped_files" / path
    return packed if packed.exists() else _PACKAGE.parent / path
