"""Who this agent is: a uid that outlives restarts and belongs to one Engine.

A host that is copied takes its state directory with it. Its Engine has another id, by which the copy knows
that the uid is another's, and takes a new one; where the Engine's id was copied too, the manager notices.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec

from compose_agent.durable import sync_folder
from compose_agent.errors import StateError
from compose_agent.typed import from_json
from fleet.opamp.uid import is_uid, new_uid, parse_uid, uid_text

logger = logging.getLogger(__name__)

_FILE = "agent.json"


class _Kept(msgspec.Struct):
    uid: str
    engine_id: str = ""


class Identity:
    """The uid in ``agent.json`` of the state directory; every change is on disk when the call returns.

    Raises StateError when the directory cannot be used. A file that cannot be read is replaced: the manager
    then sees a new node in the place of the old one.
    """

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / _FILE
        self._kept = self._load() or _Kept(uid_text(new_uid()))
        self._save()

    @property
    def uid(self) -> bytes:
        """The uid in force."""
        return parse_uid(self._kept.uid)

    def bind(self, engine_id: str) -> bool:
        """Say which Engine this is; return whether the uid was another's and is a new one now."""
        if not engine_id or engine_id == self._kept.engine_id:
            return False
        copied = bool(self._kept.engine_id)
        if copied:
            before = self._kept.uid
            self._kept.uid = uid_text(new_uid())
            logger.warning(
                "this host is a copy of another one: it takes a uid of its own",
                extra={"before": before, "uid": self._kept.uid},
            )
        self._kept.engine_id = engine_id
        self._save()
        return copied

    def adopt(self, uid: bytes) -> bool:
        """Take the uid that the manager gives; return whether it is one."""
        if not is_uid(uid):
            return False
        self._kept.uid = uid_text(uid)
        self._save()
        logger.warning("the manager has given this agent a new uid", extra={"uid": self._kept.uid})
        return True

    def _load(self) -> _Kept | None:
        try:
            kept = from_json(self._path.read_bytes(), _Kept)
            parse_uid(kept.uid)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError, ValueError) as error:
            logger.warning("the agent's uid cannot be read, it gets a new one", extra={"error": str(error)})
            return None
        return kept

    def _save(self) -> None:
        fresh = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with fresh.open("wb") as file:
                file.write(msgspec.json.encode(self._kept) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            fresh.rename(self._path)
            sync_folder(self._path.parent)
        except OSError as error:
            raise StateError(
                f"the agent's uid cannot be written to {self._path} ({error.strerror})",
                remedy="free space on its disk, make it writable, or choose another with --state-dir",
            ) from error
