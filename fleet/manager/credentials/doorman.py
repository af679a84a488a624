"""Whether an agent may be who it says it is: its uid and its environment against what it has come in with."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from compose_agent.errors import StateError
from fleet.manager.credentials.keeper import Credentials
from fleet.manager.credentials.store import CredentialStore
from fleet.manager.model import Node, Pass, Peer
from fleet.opamp.frames import to_frame
from fleet.opamp.opamp_pb2 import (
    AgentToServer,
    ConnectionSettingsOffers,
    ServerErrorResponseType_BadRequest,
    ServerToAgent,
)
from fleet.opamp.uid import uid_text

logger = logging.getLogger(__name__)

# New uids that agents were given and have not yet a credential for; they ask for one at once.
_MOST_RENAMED = 10_000


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a message is not taken; ``rename``: its agent shall take another uid."""

    reason: str
    rename: bool = False


class Doorman:
    """``spend`` takes one use of a join token and tells whether there was one."""

    def __init__(
        self, store: CredentialStore, credentials: Credentials, spend: Callable[[str], bool]
    ) -> None:
        self._store = store
        self._credentials = credentials
        self._spend = spend
        self._joined = store.joined()
        self._renamed: OrderedDict[bytes, bytes] = OrderedDict()
        self._expected: set[bytes] = set()
        self._lock = threading.Lock()
        self._later = ThreadPoolExecutor(1, "manager-doorman")

    def objection(self, uid: bytes, peer: Peer, node: Node | None) -> Objection | None:
        """Return why a message of ``uid`` over ``peer`` is not taken; ``node`` has the uid already."""
        admitted = peer.admitted
        if admitted.free:
            return None
        if not self.holds(admitted):
            return Objection("the credential of this agent was revoked")
        if admitted.credential:
            return self._of_credential(uid, admitted)
        # What was under way on the connection before, when an agent has just taken its credential.
        if uid in peer.uids:
            return None
        if self._credentials.has(uid) or (node and not _within(node.environment, admitted)):
            return Objection("this uid is another agent's", rename=True)
        return None if self._joins(uid, admitted) else Objection("the join token is used up")

    def holds(self, admitted: Pass) -> bool:
        """Tell whether what an agent has come in with is still in force."""
        return not admitted.credential or self._credentials.holds(admitted.credential, admitted.uid)

    def environment(self, told: str, admitted: Pass) -> str:
        """Return the environment of an agent that says it is in ``told``.

        With a single environment to choose from it is in that one, whatever it says; where it says one that
        is not among several it is in none, and only who sees all of them sees it.
        """
        allowed = admitted.environments
        if allowed is None or told in allowed:
            return told
        return next(iter(allowed)) if len(allowed) == 1 else ""

    def renamed(self, before: bytes, after: bytes) -> None:
        """Note that an agent was given a new uid: it may come with the credential of the one before."""
        with self._lock:
            self._renamed[after] = before
            self._expected.add(after)
            if len(self._renamed) > _MOST_RENAMED:
                self._expected.discard(self._renamed.popitem(last=False)[0])

    def arrived(self, uid: bytes) -> bytes | None:
        """Return whose uid an agent had that comes with its new one, the first time, else None."""
        if uid not in self._expected:  # nearly always
            return None
        with self._lock:
            self._expected.discard(uid)
            return self._renamed.get(uid)

    def answer(self, message: AgentToServer, peer: Peer, reply: ServerToAgent) -> None:
        """Note that an agent was let in, and put into the answer the credential that it asks for."""
        admitted, uid = peer.admitted, bytes(message.instance_uid)
        if admitted.credential and admitted.uid == uid:
            self._credentials.used(admitted.credential, uid)
        if admitted.free or not message.connection_settings_request.opamp.HasField("certificate_request"):
            return
        csr = message.connection_settings_request.opamp.certificate_request.csr
        push = peer.push

        def ready(offer: ConnectionSettingsOffers) -> None:
            if push:
                push(to_frame(ServerToAgent(instance_uid=uid, connection_settings=offer)))

        def failed(reason: str) -> None:
            refusal = ServerToAgent(instance_uid=uid)
            refusal.error_response.type = ServerErrorResponseType_BadRequest
            refusal.error_response.error_message = reason
            if push:
                push(to_frame(refusal))

        if offer := self._credentials.ask(uid, admitted, csr, ready, failed):
            reply.connection_settings.CopyFrom(offer)

    def close(self) -> None:
        """Write what is left."""
        self._later.shutdown()

    def _of_credential(self, uid: bytes, admitted: Pass) -> Objection | None:
        if uid == admitted.uid or self._renamed.get(uid) == admitted.uid:
            return None
        logger.warning(
            "an agent uses another one's uid", extra={"uid": uid_text(uid), "own": uid_text(admitted.uid)}
        )
        return Objection("this credential is of another uid")

    def _joins(self, uid: bytes, admitted: Pass) -> bool:
        if not admitted.token:
            return True
        with self._lock:
            if (admitted.token, uid) in self._joined:
                return True
            if not self._spend(admitted.token):
                return False
            self._joined.add((admitted.token, uid))
        self._later.submit(self._note, admitted.token, uid)
        return True

    def _note(self, token: str, uid: bytes) -> None:
        try:
            self._store.note_joined(token, uid)
        except StateError as error:
            logger.warning("who has joined is not on disk", extra={"error": str(error)})


def _within(environment: str, admitted: Pass) -> bool:
    return admitted.environments is None or not environment or environment in admitted.environments
