"""Agents' own credentials: issued when they ask, in force when they come with them, revoked at any time.

What agents' messages need is in memory; a thread of its own signs and writes. A credential is offered when it
is on disk, so that a manager that is killed knows every one that an agent may have.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol
from uuid import UUID

from compose_agent.errors import ComposeAgentError, StateError
from fleet.manager.credentials.store import Credential, CredentialStore
from fleet.manager.model import Pass
from fleet.manager.people.directory import PREFIX, digest_of
from fleet.opamp.opamp_pb2 import ConnectionSettingsOffers
from fleet.opamp.uid import uid_text

logger = logging.getLogger(__name__)

_BEARER = "bearer "
# An agent that was killed between coming with a new credential and writing it down comes with the old one.
GRACE_SECONDS = 3600.0
# An offer whose answer was lost is given again to an agent that asks again; later it gets another one.
_OFFER_SECONDS = 600.0
# Signing takes a millisecond: ten thousand agents that join at once are served within seconds.
_MOST_WAITING = 20_000
_ID_BYTES, _SECRET_BYTES = 8, 32


class Signer(Protocol):
    """Signs the requests of agents; ``pem`` is the authority's certificate."""

    pem: bytes

    def agent(self, request: bytes, uid: UUID, seconds: float) -> bytes:
        """Return a certificate for the key of a request, both PEM."""


class Credentials:
    """Thread-safe. ``signer`` None: agents get a key instead of a certificate."""

    def __init__(
        self,
        store: CredentialStore,
        signer: Signer | None,
        lifetime: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._signer = signer
        self._lifetime = lifetime
        self._now = now
        self._lock = threading.Lock()
        self._known: dict[bytes, Credential] = {}
        self._of: defaultdict[bytes, dict[str, Credential]] = defaultdict(dict)
        self._offers: dict[bytes, tuple[float, ConnectionSettingsOffers]] = {}
        self._waiting: set[bytes] = set()
        self._later = ThreadPoolExecutor(1, "manager-credentials")
        for each in store.load():
            self._keep(each)

    def admit(self, authorization: str, certificate: bytes) -> Pass | None:
        """Return the pass of an agent that comes with its own certificate (DER) or key."""
        if certificate and (found := self._valid(hashlib.sha256(certificate).digest())):
            return found
        if authorization[: len(_BEARER)].lower() != _BEARER:
            return None
        return self._valid(digest_of(authorization[len(_BEARER) :].strip()))

    def holds(self, credential: str, uid: bytes) -> bool:
        """Tell whether a credential that an agent has come with is still in force."""
        found = self._of.get(uid, {}).get(credential)
        return found is not None and self._now() < found.expires_at

    def has(self, uid: bytes) -> bool:
        """Tell whether an agent has come with a credential of its own that is in force."""
        now = self._now()
        return any(each.used and now < each.expires_at for each in list(self._of.get(uid, {}).values()))

    def used(self, credential: str, uid: bytes) -> None:
        """Note that an agent speaks with a credential: those before it end soon."""
        found = self._of.get(uid, {}).get(credential)
        if found is None or found.used:
            return
        with self._lock:
            end = self._now() + GRACE_SECONDS
            before = [each for each in self._of[uid].values() if each.id != credential]
            changed = [replace(each, expires_at=min(each.expires_at, end)) for each in before]
            changed.append(replace(found, used=True))
            for each in changed:
                self._keep(each)
            self._offers.pop(uid, None)
        self._submit(self._write, changed)

    def ask(
        self,
        uid: bytes,
        admitted: Pass,
        csr: bytes,
        ready: Callable[[ConnectionSettingsOffers], object],
        failed: Callable[[str], object],
    ) -> ConnectionSettingsOffers | None:
        """Return the credential that waits for an agent, else have one made and given to ``ready``.

        ``failed`` is told why there is none.
        """
        with self._lock:
            made, offer = self._offers.get(uid, (0.0, None))
            if offer is not None and self._now() - made < _OFFER_SECONDS and _answers(offer, csr):
                return offer
            if uid not in self._waiting and len(self._waiting) < _MOST_WAITING:
                self._waiting.add(uid)
                self._submit(self._issue, uid, admitted, csr, ready, failed)
        return None

    def revoke(self, uid: bytes) -> int:
        """End every credential of an agent, and return how many there were; StateError: not on disk yet."""
        with self._lock:
            found = list(self._of.get(uid, {}).values())
            self._drop(found)
            self._offers.pop(uid, None)
        self._store.write(removed=[each.id for each in found])
        return len(found)

    def expiry(self, uid: bytes) -> float:
        """Return until when an agent's credential holds, Unix time, 0 if it has none."""
        found = list(self._of.get(uid, {}).values())
        return max((each.expires_at for each in found if each.used), default=0.0)

    def close(self) -> None:
        """Write what is left."""
        self._later.shutdown()

    def _valid(self, digest: bytes) -> Pass | None:
        found = self._known.get(digest)
        if found is None or self._now() >= found.expires_at:
            return None
        return Pass(found.environments, credential=found.id, uid=found.uid)

    def _issue(
        self,
        uid: bytes,
        admitted: Pass,
        csr: bytes,
        ready: Callable[[ConnectionSettingsOffers], object],
        failed: Callable[[str], object],
    ) -> None:
        try:
            credential, offer = self._made(uid, admitted, csr)
            self._store.write([credential], [each.id for each in self._over(uid)])
        except ComposeAgentError as error:
            logger.warning("an agent gets no credential", extra={"uid": uid_text(uid), "error": str(error)})
            failed(error.message)
            return
        finally:
            self._waiting.discard(uid)
        with self._lock:
            self._keep(credential)
            self._offers[uid] = self._now(), offer
        ready(offer)

    def _made(self, uid: bytes, admitted: Pass, csr: bytes) -> tuple[Credential, ConnectionSettingsOffers]:
        offer = ConnectionSettingsOffers()
        now = self._now()
        expires = now + self._lifetime
        if self._signer:
            certificate = self._signer.agent(csr, UUID(bytes=uid), self._lifetime)
            offer.opamp.certificate.cert = certificate
            offer.opamp.certificate.ca_cert = self._signer.pem
            digest = _digest_of_certificate(certificate)
        else:
            # Our agents read in it until when it holds; to others it is one word.
            text = f"{PREFIX}-agent-{int(expires)}-{secrets.token_urlsafe(_SECRET_BYTES)}"
            offer.opamp.headers.headers.add(key="Authorization", value=f"Bearer {text}")
            digest = digest_of(text)
        credential_id = secrets.token_hex(_ID_BYTES)
        offer.hash = _hash_of(credential_id, csr)
        return Credential(credential_id, uid, digest, admitted.environments, now, expires), offer

    def _over(self, uid: bytes) -> list[Credential]:
        """Take out what is over, and what was offered and never taken up."""
        now = self._now()
        with self._lock:
            found = [
                each
                for each in self._of.get(uid, {}).values()
                if now >= each.expires_at or (not each.used and now - each.issued_at > GRACE_SECONDS)
            ]
            self._drop(found)
        return found

    def _keep(self, credential: Credential) -> None:
        self._known[credential.digest] = credential
        self._of[credential.uid][credential.id] = credential

    def _drop(self, credentials: list[Credential]) -> None:
        for each in credentials:
            self._known.pop(each.digest, None)
            self._of[each.uid].pop(each.id, None)
            if not self._of[each.uid]:
                del self._of[each.uid]

    def _write(self, changed: list[Credential]) -> None:
        try:
            self._store.write(changed)
        except StateError as error:  # in memory it is so; after a restart the agent comes with it once more
            logger.warning("what became of a credential is not on disk", extra={"error": str(error)})

    def _submit(self, work: Callable[..., None], *values: object) -> None:
        try:
            self._later.submit(work, *values)
        except RuntimeError:  # the manager stops; the agent asks again
            logger.debug("no credential is made any more")


def _answers(offer: ConnectionSettingsOffers, csr: bytes) -> bool:
    """Tell whether an offer is for this request: a certificate is of no use with another key."""
    return offer.hash.endswith(hashlib.sha256(csr).digest())


def _hash_of(credential: str, csr: bytes) -> bytes:
    return bytes.fromhex(credential) + hashlib.sha256(csr).digest()


def _digest_of_certificate(pem: bytes) -> bytes:
    from fleet.pki import der_of  # noqa: PLC0415 - only a manager that signs carries it

    return hashlib.sha256(der_of(pem)).digest()
