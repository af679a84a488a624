"""Which credential the agent comes with, and how it gets the next one; asked by the thread of its link."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

import msgspec

from compose_agent.errors import ComposeAgentError, StateError
from fleet.agent.credentials.request import Request, expiry, make
from fleet.agent.credentials.store import CredentialFile, Kept
from fleet.opamp.capabilities import ServerCan
from fleet.opamp.opamp_pb2 import AgentToServer, OpAMPConnectionSettings, ServerToAgent
from fleet.opamp.uid import uid_text

logger = logging.getLogger(__name__)

# Renewed with a third of its life left: a manager may be away for days.
_RENEW_AFTER = 2 / 3
# A credential of which nobody says until when it holds.
_UNKNOWN_LIFE_SECONDS = 7 * 86400.0
# After one that did not work, or a manager that gave none.
_RETRY_SECONDS = 600.0
# Keys of our own manager say until when they hold.
_KEY = re.compile(r"Bearer compose-agent-agent-(\d{1,12})-[\w-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A credential that was offered and is to be tried; ``kept`` is what to come with."""

    kept: Kept
    prepare: Callable[[], None]  # on disk, beside the one in force; raises StateError
    commit: Callable[[], None]  # raises StateError
    reject: Callable[[str], None]


class Credentials:
    """``identity`` gives the uid in force and ``url`` the manager's; a credential is of both."""

    def __init__(
        self,
        file: CredentialFile,
        identity: Callable[[], bytes],
        url: Callable[[], str],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._file = file
        self._identity = identity
        self._url = url
        self._now = now
        # An agent that was killed while it tried one may have been let in with it.
        self._spare = file.prepared()
        self._kept = file.load() or self._spare
        self._request: tuple[bytes, Request] | None = None  # with the uid that it is for
        self._making = threading.Lock()
        self._offered: Kept | None = None
        self._asked: Request | None = None
        self._retry_at = 0.0
        self._able = False
        self._refused = False

    def current(self) -> Kept | None:
        """Return the credential to come with, None for the token."""
        kept = self._own()
        return None if kept is None or self._refused else kept

    def refused(self, *, with_own: bool, has_token: bool) -> None:
        """Note that the manager has not let the agent in; the next try is with the other proof there is."""
        if with_own and self._spare is not None and self._kept != self._spare:
            self._kept = self._spare
            return
        self._refused = with_own and has_token
        if with_own:
            logger.warning("the manager does not take this agent's credential any more")

    def ask(self, message: AgentToServer) -> None:
        """Put into a message the request for a credential, while one is wanted."""
        if not self._able or not self._is_wanted():
            return
        if request := self._ready():
            asked = message.connection_settings_request.opamp.certificate_request
            asked.csr = request.csr.encode()
            self._asked = request

    def is_urgent(self) -> bool:
        """Tell whether there is a request that was not yet sent."""
        if not self._able or not self._is_wanted():
            return False
        request = self._ready()
        return request is not None and request is not self._asked

    def heard(self, reply: ServerToAgent) -> None:
        """Look at what the manager says: whether it gives credentials, and the one that it gives."""
        if reply.capabilities:
            self._able = bool(reply.capabilities & ServerCan.ACCEPT_CONNECTION_REQUEST)
        settings = reply.connection_settings.opamp
        if settings.HasField("certificate") or settings.HasField("headers"):
            self._take(settings)

    def candidate(self) -> Candidate | None:
        """Return a credential that is to be tried, once."""
        kept, self._offered = self._offered, None
        if kept is None:
            return None
        return Candidate(
            kept, lambda: self._file.prepare(kept), lambda: self._commit(kept), self._reject_candidate
        )

    def expires_at(self) -> float:
        """Return until when the credential holds, Unix time, 0 without one."""
        kept = self._own()
        return kept.expires_at if kept else 0.0

    def _own(self) -> Kept | None:
        kept = self._kept
        if kept is None or kept.uid != uid_text(self._identity()) or kept.url != self._url():
            return None  # of a host of which this one is a copy, or for another manager
        return kept if not kept.expires_at or self._now() < kept.expires_at else None

    def _is_wanted(self) -> bool:
        now, kept = self._now(), self._own()
        if now < self._retry_at:
            return False
        if kept is None or self._refused:
            return True
        life = kept.expires_at - kept.issued_at if kept.expires_at else _UNKNOWN_LIFE_SECONDS
        return now >= kept.issued_at + life * _RENEW_AFTER

    def _ready(self) -> Request | None:
        """Return the request for the uid in force, or begin to make it: the link does not wait for it."""
        uid = self._identity()
        if self._request and self._request[0] == uid:
            return self._request[1]
        if self._making.acquire(blocking=False):
            threading.Thread(target=self._make, args=(uid,), name="agent-request", daemon=True).start()
        return None

    def _make(self, uid: bytes) -> None:
        try:
            self._request = uid, make(UUID(bytes=uid))
        except ComposeAgentError as error:
            self._reject(str(error))
        finally:
            self._making.release()

    def _take(self, settings: OpAMPConnectionSettings) -> None:
        if self._request is None or self._request[0] != self._identity():
            return  # nothing was asked for, or by another self
        try:
            self._offered = self._made(settings, self._request[1])
        except ComposeAgentError as error:
            self._reject(str(error))

    def _made(self, settings: OpAMPConnectionSettings, request: Request) -> Kept:
        kept = Kept(uid_text(self._identity()), self._url(), self._now())
        if settings.certificate.cert:
            certificate = settings.certificate.cert.decode("ascii", "replace")
            until = expiry(certificate)
            return msgspec.structs.replace(kept, certificate=certificate, key=request.key, expires_at=until)
        headers = {each.key.lower(): each.value for each in settings.headers.headers}
        authorization = headers.get("authorization", "")
        if not authorization.isascii() or not authorization.isprintable() or not authorization:
            raise ComposeAgentError("the manager offers neither a certificate nor a key")
        told = _KEY.fullmatch(authorization)
        until = float(told[1]) if told else 0.0
        return msgspec.structs.replace(kept, authorization=authorization, expires_at=until)

    def _commit(self, kept: Kept) -> None:
        self._file.commit()
        self._kept, self._spare, self._request, self._refused = kept, None, None, False
        logger.info("the agent has a credential of its own", extra={"expires_at": kept.expires_at})

    def _reject_candidate(self, reason: str) -> None:
        with suppress(StateError):  # it is written over by the next one
            self._file.drop()
        self._reject(reason)

    def _reject(self, reason: str) -> None:
        self._request, self._retry_at = None, self._now() + _RETRY_SECONDS
        logger.warning("a new credential does not work, the one before stays", extra={"error": reason})
