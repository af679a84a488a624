"""What a manager has set on this host: a layer above all others, kept in one file of the state directory.

``remote-config.json`` holds the configuration in force and the one that is being tried, so that a kill at any
moment leaves a whole story: a trial that was begun is either confirmed or taken back by whoever runs next.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from compose_agent.config.layers import node_layer
from compose_agent.config.resolve import Given, Layer
from compose_agent.config.schema import Schema
from compose_agent.config.yamlfile import parse
from compose_agent.durable import sync_folder
from compose_agent.errors import ConfigError, Problem, StateError
from compose_agent.typed import from_json

logger = logging.getLogger(__name__)

# The option by which a host says what may be set from afar, and those that never may: with them somebody
# else could open the host further, or leave it where nobody finds it again.
ALLOWING = "agent.remote-options"
_NEVER = frozenset(
    {ALLOWING, "agent.remote-timeout", "agent.commands", "register", "state-dir", "run-dir"}
    # By these the manager chooses what a host gets: setting them would choose anew, and so on for ever.
    | {"agent.node-id", "agent.role", "agent.tags", "agent.environment"}
)
_FILE = "remote-config.json"
_LOCK = "remote-config.lock"
# What stands before the name of a manager's file in messages.
_PLACE = Path("manager")


class Files(msgspec.Struct, frozen=True):
    """A configuration of a manager: its hash in hexadecimal digits, and its files by name."""

    hash: str
    files: Mapping[str, str]


class Failure(msgspec.Struct, frozen=True):
    """A configuration that was not taken, and why."""

    hash: str
    reason: str


class Record(msgspec.Struct, frozen=True):
    """What is kept. ``started``: the program has once come up with what is in force.

    ``starts`` counts the program's starts during the trial.
    """

    current: Files | None = None
    started: bool = False
    trial: Files | None = None
    starts: int = 0
    failed: Failure | None = None

    @property
    def in_force(self) -> Files | None:
        """What is laid over the host's own configuration."""
        return self.trial or self.current

    def trying(self, files: Files) -> Record:
        """Return the record with a trial begun."""
        return msgspec.structs.replace(self, trial=files, starts=0, started=False)

    def start(self) -> Record:
        """Return the record with one start more."""
        return msgspec.structs.replace(self, starts=self.starts + 1)

    def has_started(self) -> Record:
        """Return the record with a start that went well."""
        return msgspec.structs.replace(self, started=True)

    def confirmed(self) -> Record:
        """Return the record with the trial ended well."""
        if self.trial is None:
            return self
        return Record(current=self.trial, started=self.started)

    def refused(self, hash: str, reason: str) -> Record:
        """Return the record without a trial, and with the reason why a configuration is not in force."""
        return msgspec.structs.replace(self, trial=None, starts=0, failed=Failure(hash, reason))

    def returned(self) -> Record:
        """Return the record with what was confirmed in force, as if nothing had been tried since."""
        return msgspec.structs.replace(self, trial=None, starts=0, failed=None)

    def dropped(self, reason: str) -> Record:
        """Return the record without what is in force, because the program does not start with it."""
        if self.trial is not None:
            return self.refused(self.trial.hash, reason)
        if self.current is not None:
            return Record(failed=Failure(self.current.hash, reason))
        return self


class RemoteStore:
    """The record in ``state_dir``. Several processes may change it; a change is on disk when it returns."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir
        self._path = state_dir / _FILE

    def read(self) -> Record:
        """Return what is kept; nothing where there is no file, or none that can be read."""
        try:
            return from_json(self._path.read_bytes(), Record)
        except FileNotFoundError:
            return Record()
        except (OSError, msgspec.MsgspecError) as error:
            logger.warning("what the manager has set cannot be read", extra={"error": str(error)})
            return Record()

    def change(self, work: Callable[[Record], Record]) -> Record:
        """Write what ``work`` makes of the record, and return it; raises StateError."""
        with self._locked():
            before = self.read()
            after = work(before)
            if after != before:
                self._write(after)
            return after

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StateError(
                f"what the manager sets cannot be written to {self._path} ({error.strerror})",
                remedy="free space on its disk, make it writable, or choose another with --state-dir",
            ) from error

    def _write(self, record: Record) -> None:
        fresh = self._path.with_suffix(".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        with os.fdopen(os.open(fresh, flags, 0o600), "wb") as file:
            file.write(msgspec.json.encode(record) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(self._path)
        sync_folder(self._folder)


def remote_layer(schema: Schema, files: Files, allowed: Collection[str]) -> tuple[Layer, list[Problem]]:
    """Return what a manager's files give, laid over one another by their names; and what is wrong.

    ``allowed`` are options and groups of options that the host lets others set.
    """
    layer: dict[str, Given] = {}
    problems: list[Problem] = []
    for name, text in sorted(files.files.items()):
        path = _PLACE / (name or "config")
        try:
            given, wrong = node_layer(schema, parse(text, str(path)), path)
        except ConfigError as error:
            problems += error.problems
            continue
        problems += wrong
        problems += [_forbidden(key, each) for key, each in given.items() if not may_set(key, allowed)]
        layer |= given
    return layer, problems


def may_set(key: str, allowed: Collection[str]) -> bool:
    """Tell whether an option may be set from afar where the host allows ``allowed``."""
    return key not in _NEVER and any(key == each or key.startswith(f"{each}.") for each in allowed)


def without_forbidden(layer: Layer, allowed: Collection[str]) -> Layer:
    """Return what the host still allows of a layer that it once took: its own word counts at once."""
    kept = {key: given for key, given in layer.items() if may_set(key, allowed)}
    for key in layer.keys() - kept.keys():
        logger.warning("the manager may not set this any more", extra={"option": key})
    return kept


def _forbidden(key: str, given: Given) -> Problem:
    if key in _NEVER:
        return Problem(given.where, f"'{key}' belongs to the host and cannot be set from afar")
    return Problem(given.where, f"this host does not let '{key}' be set from afar: see its {ALLOWING}")
