"""Keys and certificates: an authority, what it signs for the manager and for agents, agents' requests.

Everything is ECDSA on P-256, which OpenSSL on both ends speaks without being asked. Loads ``cryptography``,
some ten MiB: import it when it is needed.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from compose_agent.errors import ComposeAgentError

_ORGANIZATION = "compose-agent"
# Clocks of hosts are not all right; a certificate that is a moment old already holds for those behind.
_BACKDATED = dt.timedelta(hours=1)
_LEAST_RSA_BITS = 2048
# A request for one name is a few hundred bytes.
MAX_REQUEST_BYTES = 16 * 1024

_Key = ec.EllipticCurvePrivateKey


class BadRequest(ComposeAgentError):
    """A certificate request that is none, or that is not signed with its own key."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as PEM."""

    certificate: bytes
    key: bytes


def make_authority(name: str, days: int) -> Pair:
    """Return a new authority that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(name)
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        _builder(subject, subject, key.public_key(), dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
    )
    return Pair(_pem(builder.sign(key, hashes.SHA256())), _key_pem(key))


def make_request(uid: UUID) -> Pair:
    """Return a request of an agent, in place of the certificate, and the key that it belongs to."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(_subject(str(uid)))
    pem = request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return Pair(pem, _key_pem(key))


class Authority:
    """Signs with the authority's certificate and key, PEM; raises ValueError when they are none."""

    def __init__(self, pair: Pair) -> None:
        self._certificate = x509.load_pem_x509_certificate(pair.certificate)
        key = serialization.load_pem_private_key(pair.key, None)
        if not isinstance(key, _Key) or key.public_key() != self._certificate.public_key():
            raise ValueError("the key is not that of the certificate")
        self._key = key
        self.pem = pair.certificate

    def server(self, names: Iterable[str], days: int) -> Pair:
        """Return a certificate for a server that is reached by ``names``, DNS names and IP addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        known = [_general(name) for name in names]
        builder = _builder(
            _subject(str(known[0].value)),
            self._certificate.subject,
            key.public_key(),
            dt.timedelta(days=days),
        )
        signed = builder.add_extension(x509.SubjectAlternativeName(known), critical=False)
        return Pair(self._sign(signed, ExtendedKeyUsageOID.SERVER_AUTH), _key_pem(key))

    def agent(self, request: bytes, uid: UUID, seconds: float) -> bytes:
        """Return a certificate, PEM, for the key of an agent's request, PEM; raises BadRequest.

        Only the key is taken from the request: who the agent is, the manager knows better.
        """
        public = _public_key(request)
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uid.urn)])
        builder = _builder(
            _subject(str(uid)), self._certificate.subject, public, dt.timedelta(seconds=seconds)
        )
        return self._sign(builder.add_extension(names, critical=False), ExtendedKeyUsageOID.CLIENT_AUTH)

    def _sign(self, builder: x509.CertificateBuilder, purpose: x509.ObjectIdentifier) -> bytes:
        builder = builder.add_extension(
            x509.BasicConstraints(ca=False, path_length=None), critical=True
        ).add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        return _pem(builder.sign(self._key, hashes.SHA256()))


def der_of(certificate: bytes) -> bytes:
    """Return a certificate that is PEM as DER."""
    return x509.load_pem_x509_certificate(certificate).public_bytes(serialization.Encoding.DER)


def names_of(certificate: bytes) -> list[str]:
    """Return the DNS names and IP addresses that a server's certificate, PEM, is for."""
    loaded = x509.load_pem_x509_certificate(certificate)
    names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(each.value) for each in names]


def _public_key(request: bytes) -> ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey:
    if len(request) > MAX_REQUEST_BYTES:
        raise BadRequest(f"the certificate request has more than {MAX_REQUEST_BYTES} bytes")
    try:
        loaded = x509.load_pem_x509_csr(request)
        key = loaded.public_key()
        valid = loaded.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise BadRequest(f"the certificate request cannot be read: {error}") from error
    if not valid:
        raise BadRequest("the certificate request is not signed with its own key")
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _LEAST_RSA_BITS:
        return key
    if isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        return key
    raise BadRequest("the key of the certificate request is of a kind that is not taken")


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey,
    lifetime: dt.timedelta,
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _subject(name: str) -> x509.Name:
    # 64 characters are all that a common name may have.
    attributes = ((NameOID.ORGANIZATION_NAME, _ORGANIZATION), (NameOID.COMMON_NAME, name[:64]))
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in attributes])


def _general(name: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: _Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
