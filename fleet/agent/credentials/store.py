"""The credential in ``agent-credential.json`` of the state directory, readable for its owner only."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec

from compose_agent.durable import sync_folder
from compose_agent.errors import StateError

logger = logging.getLogger(__name__)

_FILE = "agent-credential.json"


class Kept(msgspec.Struct, frozen=True):
    """A credential of ``uid`` for the manager at ``url``: a certificate with its key, PEM, or a header.

    Times are Unix time; ``expires_at`` 0 when nobody said until when it holds.
    """

    uid: str
    url: str
    issued_at: float
    expires_at: float = 0.0
    authorization: str = ""
    certificate: str = ""
    key: str = ""

    def __repr__(self) -> str:
        """Return what may stand in a log."""
        return f"Kept(uid={self.uid!r}, expires_at={self.expires_at:.0f})"


class CredentialFile:
    """Every change is on disk when the call returns; raises StateError."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / _FILE

    def load(self) -> Kept | None:
        """Return what is kept, None for nothing that can be read: the agent then joins anew."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Kept)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            logger.warning("the agent's credential cannot be read", extra={"error": str(error)})
            return None

    def save(self, kept: Kept) -> None:
        """Keep a credential in place of the one before."""
        fresh = self._path.with_suffix(".new")
        try:
            fresh.unlink(missing_ok=True)
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(kept) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            fresh.rename(self._path)
            sync_folder(self._path.parent)
        except OSError as error:
            raise StateError(
                f"the agent's credential cannot be written to {self._path} ({error.strerror})",
                remedy="free space on its disk, make it writable, or choose another with --state-dir",
            ) from error
