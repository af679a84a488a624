"""Who may raise alerts, by address, bearer token, signature, and what the web configuration proves.

Users and client certificates of the web configuration file are checked before a request comes here, and hold
for everything that is served. What is added here holds beside them. For triggers, which come over the local
socket, nobody is asked: its permissions say who may use it.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import ssl
from collections.abc import Callable, Sequence
from wsgiref.types import WSGIEnvironment

from compose_agent.address import Address
from compose_agent.errors import ConfigError, Problem
from compose_agent.web.webconfig import WebConfig
from remediation.receiver.refusal import Refusal, Why
from remediation.receiver.signatures import SIGNATURE_HEADER, TIMESTAMP_HEADER, Signatures
from remediation.settings import Network

_SCHEME = "bearer"
Secrets = Callable[[], Sequence[bytes]]


class Access:
    """Judges requests: first by the head, then, where a signature is what proves them, by the body.

    ``required``: somebody must have proved who it is, here or to the web server. With ``tokens`` or
    ``signatures`` one of these is always asked for.
    """

    def __init__(
        self,
        *,
        allowed: Sequence[Network] = (),
        tokens: Secrets | None = None,
        signatures: Signatures | None = None,
        required: bool = False,
    ) -> None:
        self._allowed = allowed
        self._tokens = tokens
        self._signatures = signatures
        self._required = required

    def judge_head(self, environ: WSGIEnvironment) -> bool:
        """Tell whether the body must still prove the request; raises Refusal."""
        self._judge_origin(environ)
        if self._tokens and (token := _bearer(environ)) is not None:
            if not _is_among(self._tokens(), token):
                raise Refusal(Why.WRONG_TOKEN)
            return False
        if self._signatures and _header(environ, SIGNATURE_HEADER):
            return True
        if self._tokens or self._signatures or (self._required and not proved_by_web(environ)):
            raise Refusal(Why.NO_CREDENTIALS)
        return False

    def judge_body(self, environ: WSGIEnvironment, body: bytes) -> bytes:
        """Return the digest of the request's signature, which is now used up; raises Refusal."""
        assert self._signatures  # noqa: S101 - or nobody would ask
        timestamp, signature = _header(environ, TIMESTAMP_HEADER), _header(environ, SIGNATURE_HEADER)
        return self._signatures.check(timestamp, signature, body)

    def _judge_origin(self, environ: WSGIEnvironment) -> None:
        if self._allowed and not is_within(str(environ.get("REMOTE_ADDR", "")), self._allowed):
            raise Refusal(Why.ADDRESS)
        # A page in a browser on this host reaches its loopback addresses; no sender of alerts has an origin.
        if "HTTP_ORIGIN" in environ:
            raise Refusal(Why.BROWSER)


def is_within(address: str, networks: Sequence[Network]) -> bool:
    """Tell whether an address belongs to one of the networks; what is no address belongs to none."""
    try:
        peer = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return any(peer in each for each in networks if each.version == peer.version)


def is_loopback(address: Address) -> bool:
    """Tell whether only this host reaches an address; a name other than localhost may mean anything."""
    try:
        return ipaddress.ip_address(address.host).is_loopback
    except ValueError:
        return address.host.lower() == "localhost"


def proves(web: WebConfig | None) -> bool:
    """Tell whether a web configuration has every client prove who it is."""
    if web is None:
        return False
    return bool(web.users) or (web.tls is not None and web.tls.verify == ssl.CERT_REQUIRED)


def proved_by_web(environ: WSGIEnvironment) -> bool:
    """Tell whether the web server knows who has sent a request."""
    return environ.get("AUTH_TYPE") == "Basic" or environ.get("SSL_CLIENT_VERIFY") == "SUCCESS"


def require_proof(addresses: Sequence[Address], *, insecure: bool, proof: bool) -> None:
    """Raise ConfigError for an address that others can reach, where nobody would have to prove anything."""
    reachable = [address for address in addresses if not is_loopback(address)]
    if reachable and not proof and not insecure:
        what = (
            f"{reachable[0]} can be reached from other hosts, expected remediation.bearer-token-file, "
            "remediation.hmac-key-file, or users or client certificates in remediation.web.config.file "
            "(or remediation.insecure)"
        )
        raise ConfigError(Problem("remediation.web.listen-address", what))


def _header(environ: WSGIEnvironment, name: str) -> str:
    return str(environ.get(f"HTTP_{name.upper().replace('-', '_')}", ""))


def _bearer(environ: WSGIEnvironment) -> bytes | None:
    scheme, _, token = str(environ.get("HTTP_AUTHORIZATION", "")).strip().partition(" ")
    return token.strip().encode("latin-1", "replace") if scheme.lower() == _SCHEME else None


def _is_among(secrets: Sequence[bytes], given: bytes) -> bool:
    """Compare with every secret; neither which one it is nor how long they are shows in the time."""
    digest = hashlib.sha256(given).digest()
    same = [hmac.compare_digest(hashlib.sha256(each).digest(), digest) for each in secrets]
    return any(same)
