"""With what the agent comes to its manager: its own credential, else the token with which it joins."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass

from compose_agent.errors import ConfigError, Problem
from fleet.agent.check import read_token, tls_context
from fleet.agent.credentials import Candidate, Credentials, Kept
from fleet.agent.polling import PollingTransport
from fleet.agent.settings import AgentSettings
from fleet.agent.transport import Target, Transport
from fleet.agent.websocket import WebSocketTransport


class Proofs:
    """Gives the target of each connection; ``settings`` are those at the time."""

    def __init__(self, settings: AgentSettings, credentials: Credentials) -> None:
        self._settings = settings
        self._url = settings.manager_url or ""
        self._token = read_token(settings)
        self._tls = tls_context(settings) if self._url.startswith(("wss:", "https:")) else None
        self._credentials = credentials
        self._own = False

    def target(self) -> Target:
        """Return where and with what to connect next."""
        kept = self._credentials.current()
        self._own = kept is not None
        return self.with_own(kept) if kept else Target(self._url, self._token, self._tls)

    def with_own(self, kept: Kept) -> Target:
        """Return the target for coming with this credential; raises ConfigError when it cannot be used."""
        tls = self._tls
        if tls and kept.certificate:
            tls = tls_context(self._settings)
            _load(tls, kept)
        return Target(self._url, tls=tls, authorization=kept.authorization)

    def took_own(self) -> None:
        """Note that the connection there is was made with the agent's own credential."""
        self._own = True

    @property
    def polls(self) -> bool:
        """Tell whether the URL asks for plain HTTP."""
        return Target(self._url).polls

    def trial(self, candidate: Candidate) -> Trying:
        """Return a credential that was offered as something to be tried."""
        return Trying(self, candidate)

    def refused(self) -> None:
        """Note that the manager did not let the agent in with what it came with."""
        self._credentials.refused(with_own=self._own, has_token=bool(self._token))


@dataclass(frozen=True, slots=True)
class Trying:
    """See :class:`fleet.agent.link.Trial`."""

    proofs: Proofs
    candidate: Candidate

    def transport(self, *, polls: bool) -> Transport:
        """Return a connection with it; it is on disk already, so that a disk that is full shows now."""
        self.candidate.prepare()
        target = self.proofs.with_own(self.candidate.kept)
        return PollingTransport(target) if polls else WebSocketTransport(target)

    def commit(self) -> None:
        """Come with it from now on."""
        self.candidate.commit()
        self.proofs.took_own()

    def reject(self, reason: str) -> None:
        """Forget it."""
        self.candidate.reject(reason)


def _load(context: ssl.SSLContext, kept: Kept) -> None:
    """Have a connection prove itself with a certificate; OpenSSL reads it from files only."""
    descriptor = os.memfd_create("credential")
    try:
        os.write(descriptor, f"{kept.key}\n{kept.certificate}".encode())
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    except (OSError, ssl.SSLError) as error:
        what = f"cannot be used: {error}"
        raise ConfigError(Problem("the agent's certificate", what)) from error
    finally:
        os.close(descriptor)
