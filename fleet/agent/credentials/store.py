"""The credential in ``agent-credential.json`` of the state directory, readable for its owner only."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from compose_agent.durable import sync_folder
from compose_agent.errors import StateError
from compose_agent.typed import from_json

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
    """A new credential is prepared on disk before it is tried, and takes the old one's place when it works.

    Every change is on disk when the call returns; raises StateError.
    """

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / _FILE
        self._fresh = self._path.with_suffix(".new")

    def load(self) -> Kept | None:
        """Return what is kept, None for nothing that can be read: the agent then joins anew."""
        return _read(self._path)

    def prepared(self) -> Kept | None:
        """Return what was prepared and did not take its place: the agent was killed while it was tried."""
        return _read(self._fresh)

    def prepare(self, kept: Kept) -> None:
        """Write down a credential beside the one in force."""
        with self._usable():
            self._fresh.unlink(missing_ok=True)
            descriptor = os.open(self._fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(kept) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            sync_folder(self._path.parent)

    def commit(self) -> None:
        """Put what was prepared in the place of what was in force."""
        with self._usable():
            self._fresh.rename(self._path)
            sync_folder(self._path.parent)

    def drop(self) -> None:
        """Forget what was prepared."""
        with self._usable():
            self._fresh.unlink(missing_ok=True)

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StateError(
                f"the agent's credential cannot be written to {self._path} ({error.strerror})",
                remedy="free space on its disk, make it writable, or choose another with --state-dir",
            ) from error


def _read(path: Path) -> Kept | None:
    try:
        return from_json(path.read_bytes(), Kept)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        logger.warning("the agent's credential cannot be read", extra={"error": str(error)})
        return None
