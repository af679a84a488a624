"""Tries what the manager sends, and keeps it or goes back."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from compose_agent.config.remote import Files, Record, RemoteStore
from compose_agent.errors import ComposeAgentError, ConfigError, StateError
from compose_agent.failpoints import failpoint
from fleet.opamp.opamp_pb2 import (
    AgentRemoteConfig,
    RemoteConfigStatus,
    RemoteConfigStatuses_APPLIED,
    RemoteConfigStatuses_APPLYING,
    RemoteConfigStatuses_FAILED,
)

logger = logging.getLogger(__name__)

# While a configuration cannot be taken back, because the supervisor does not answer.
_AGAIN_SECONDS = 2.0
# What a status may say; a configuration of a thousand wrong lines has as many reasons.
_LONGEST_REASON = 2000


class Remote(Protocol):
    """What a conversation needs of it."""

    def offer(self, given: AgentRemoteConfig) -> None:
        """Take what the manager sends; its status is told with the next message."""

    def status(self) -> RemoteConfigStatus:
        """Return how the newest configuration stands."""

    def waits(self) -> bool:
        """Tell whether an answer is waited for, and nothing was said yet that could have one."""

    def spoke(self) -> None:
        """Hear that something is said to the manager."""

    def answered(self) -> None:
        """Hear that the manager has answered."""


class Keeper:
    """One thread; everything else returns at once, and may be called from any thread.

    ``reload`` has the supervisor read its configuration anew, check it as a whole, and apply it everywhere or
    nowhere; it raises ConfigError with what is wrong. ``patience`` gives the seconds within which the manager
    must have answered afterwards.
    """

    def __init__(
        self,
        store: RemoteStore,
        reload: Callable[[], object],
        patience: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._reload = reload
        self._patience = patience
        self._clock = clock
        self._record = store.read()
        self._offered: Files | None = None  # what comes next
        self._taking: Files | None = None  # what is being taken
        self._applied_at: float | None = None  # of the trial
        self._spoke_at = float("-inf")
        self._reached = False  # since then
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="agent-configs", daemon=True)

    def start(self) -> None:
        """Begin; a trial that a kill has interrupted goes on."""
        self._thread.start()

    def stop(self) -> None:
        """End; a trial goes on at the next start."""
        self._stopping.set()
        self._wake.set()
        # A reload waits for this very role, which is about to stop: nobody is to wait for that.

    def offer(self, given: AgentRemoteConfig) -> None:
        """Take what the manager sends. What has failed once is not tried again under the same hash."""
        files = _files_of(given)
        with self._lock:
            before = self._taking.hash if self._taking else _newest(self._record)
            self._offered = files if files.hash != before else None
        self._wake.set()

    def status(self) -> RemoteConfigStatus:
        """Return how the newest configuration stands."""
        with self._lock:
            return _status_of(self._record, self._offered or self._taking)

    def waits(self) -> bool:
        """Tell whether the manager is to be spoken to now, so that it answers."""
        with self._lock:
            return self._applied_at is not None and self._spoke_at < self._applied_at

    def spoke(self) -> None:
        """Hear that something is said to the manager."""
        with self._lock:
            self._spoke_at = self._clock()

    def answered(self) -> None:
        """Hear that the manager has answered: with what was applied, it is still reached."""
        with self._lock:
            if self._applied_at is not None and self._spoke_at >= self._applied_at and not self._reached:
                self._reached = True
                self._wake.set()

    def _run(self) -> None:
        if self._record.trial is not None:
            self._try(self._record.trial)
        while not self._stopping.is_set():
            self._wake.wait(self._left())
            self._wake.clear()
            if self._stopping.is_set():
                return
            try:
                self._step()
            except Exception:  # outermost loop: what comes next must find this thread alive
                logger.exception("a configuration of the manager could not be dealt with")

    def _step(self) -> None:
        with self._lock:
            offered, reached = self._offered, self._reached
            self._offered, self._taking = None, offered
        if offered is not None:
            try:
                self._take(offered)
            finally:
                with self._lock:
                    self._taking = None
        elif reached:
            self._keep()
        elif self._left() == 0.0:
            self._go_back()

    def _left(self) -> float | None:
        """Return how long the manager may still be silent, None without a trial."""
        with self._lock:
            if self._applied_at is None:
                return None
            return max(0.0, self._applied_at + self._patience() - self._clock())

    def _take(self, files: Files) -> None:
        """Begin a trial, or return to what is known to be good."""
        current = self._record.current
        try:
            if current is not None and files.hash == current.hash:
                self._change(Record.returned)
                self._apply_again()
            else:
                self._change(lambda record: record.trying(files))
                failpoint("agent-configs.trying")
                self._try(files)
        except StateError as error:
            logger.error("a configuration of the manager cannot be kept", extra={"error": str(error)})  # noqa: TRY400 - the message says it all
            with self._lock:
                self._record = self._record.refused(files.hash, str(error))

    def _try(self, files: Files) -> None:
        """Have everything apply what is on trial."""
        self._stand(None)
        try:
            self._reload()
        except ConfigError as error:
            self._refuse(files, str(error))
        except ComposeAgentError as error:
            self._refuse(files, str(error))
            self._apply_again()  # nobody knows how far it came
        else:
            failpoint("agent-configs.applied")
            self._stand(self._clock())

    def _keep(self) -> None:
        try:
            self._change(Record.confirmed)
        except StateError as error:  # it stays on trial, on disk as well, and is tried anew at the next start
            logger.error("a configuration of the manager cannot be kept", extra={"error": str(error)})  # noqa: TRY400
            with self._lock:
                self._reached = False
            self._stopping.wait(_AGAIN_SECONDS)
            return
        self._stand(None)
        logger.info("a configuration of the manager is in force", extra={"hash": _newest(self._record)})

    def _go_back(self) -> None:
        trial = self._record.trial
        if trial is not None:
            self._refuse(
                trial,
                f"the agent had no answer of its manager for {self._patience():g} s after it had applied it, "
                "and went back to the configuration before",
            )
        self._apply_again()

    def _refuse(self, files: Files, reason: str) -> None:
        self._stand(None)
        work = partial(Record.refused, hash=files.hash, reason=reason[:_LONGEST_REASON])
        try:
            self._change(work)
        except StateError as error:  # it stays on trial on disk, and is refused again at the next start
            logger.error("that cannot be written", extra={"error": str(error)})  # noqa: TRY400
            with self._lock:
                self._record = work(self._record)
        logger.warning(
            "a configuration of the manager is not taken", extra={"hash": files.hash, "reason": reason}
        )

    def _apply_again(self) -> None:
        """Have everything return to what is in force on disk, however long that takes."""
        while not self._stopping.is_set():
            try:
                self._reload()
            except ConfigError as error:  # the host's own file has become wrong meanwhile
                logger.error("the configuration before cannot be applied", extra={"error": str(error)})  # noqa: TRY400
                return
            except ComposeAgentError as error:
                logger.warning("the supervisor does not answer", extra={"error": str(error)})
                self._stopping.wait(_AGAIN_SECONDS)
            else:
                return

    def _stand(self, applied_at: float | None) -> None:
        with self._lock:
            self._applied_at, self._reached = applied_at, False

    def _change(self, work: Callable[[Record], Record]) -> None:
        after = self._store.change(work)
        with self._lock:
            self._record = after


def _files_of(given: AgentRemoteConfig) -> Files:
    files = given.config.config_map.items()
    texts = {name: file.body.decode("utf-8", "replace") for name, file in files}
    return Files(given.config_hash.hex(), texts)


def _newest(record: Record) -> str:
    """Return the hash of the configuration that came last."""
    if record.trial is not None:
        return record.trial.hash
    if record.failed is not None:
        return record.failed.hash
    return record.current.hash if record.current is not None else ""


def _status_of(record: Record, offered: Files | None) -> RemoteConfigStatus:
    applying = offered or record.trial
    if applying is not None:
        return RemoteConfigStatus(
            last_remote_config_hash=bytes.fromhex(applying.hash), status=RemoteConfigStatuses_APPLYING
        )
    newest = bytes.fromhex(_newest(record))
    if record.failed is not None:
        reason = record.failed.reason
        return RemoteConfigStatus(
            last_remote_config_hash=newest, status=RemoteConfigStatuses_FAILED, error_message=reason
        )
    if record.current is not None:
        return RemoteConfigStatus(last_remote_config_hash=newest, status=RemoteConfigStatuses_APPLIED)
    return RemoteConfigStatus()
