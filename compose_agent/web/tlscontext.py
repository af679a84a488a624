"""TLS contexts out of a web configuration, and what a client's certificate says."""

from __future__ import annotations

import ipaddress
import logging
import os
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from compose_agent.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from compose_agent.web.webconfig import Pem, TlsConfig

logger = logging.getLogger(__name__)

_CERTIFICATE_MARK = "-----BEGIN CERTIFICATE-----"
_KEY_MARK = "PRIVATE KEY-----"
_ENCRYPTED_MARK = "ENCRYPTED"
# RFC 4514, section 3; other attributes keep their long names.
_SHORT_NAMES = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "userId": "UID",
}


def build(tls: TlsConfig) -> ssl.SSLContext:
    """Return a server's context; ConfigError when a certificate or key cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = tls.min_version
    context.maximum_version = tls.max_version
    context.set_alpn_protocols(["http/1.1"])
    if tls.prefer_server_ciphers:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    if tls.ciphers:
        context.set_ciphers(":".join(tls.ciphers))
    _set_curves(context, tls.curves)
    _load_pair(context, tls.cert, tls.key)
    if tls.client_ca and tls.verify != ssl.CERT_NONE:
        _load_authorities(context, tls.client_ca)
        # As in Go, whatever stands in the file is trusted, an intermediate authority too.
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    context.verify_mode = tls.verify
    return context


def _set_curves(context: ssl.SSLContext, curves: tuple[str, ...]) -> None:
    if len(curves) == 1:
        context.set_ecdh_curve(curves[0])
    elif curves:
        logger.warning(
            "several curve_preferences cannot be set with this Python, OpenSSL's own stay in force",
            extra={"curves": ",".join(curves)},
        )


def _load_pair(context: ssl.SSLContext, cert: Pem, key: Pem) -> None:
    if _CERTIFICATE_MARK not in _content(cert):
        raise _wrong(cert, f"{_name(cert)} holds no certificate, expected PEM")
    key_text = _content(key)
    if _KEY_MARK not in key_text:
        raise _wrong(key, f"{_name(key)} holds no private key, expected PEM")
    if _ENCRYPTED_MARK in key_text:
        raise _wrong(key, f"{_name(key)} is encrypted, expected a key without a passphrase")
    try:
        with _as_file(cert) as cert_path, _as_file(key) as key_path:
            # Without a password function OpenSSL would ask the terminal.
            context.load_cert_chain(cert_path, key_path, password=lambda: b"")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            what = f"{_name(key)} is not the key of the certificate in {_name(cert)}, expected its own"
            raise _wrong(key, what) from error
        reason = error.reason or "unknown format"
        raise _wrong(cert, f"{_name(cert)} and {_name(key)} cannot be used: {reason}") from error


def _load_authorities(context: ssl.SSLContext, client_ca: Pem) -> None:
    try:
        context.load_verify_locations(cadata=_content(client_ca))
    except (ssl.SSLError, ValueError) as error:
        raise _wrong(client_ca, f"{_name(client_ca)} holds no certificate, expected PEM") from error


def _content(pem: Pem) -> str:
    if pem.path is None:
        return pem.text
    try:
        # Comments between the blocks may be in any language.
        return pem.path.read_text("ascii", "replace")
    except OSError as error:
        raise _wrong(pem, f"{pem.path} cannot be read: {error.strerror}, expected a PEM file") from error


@contextmanager
def _as_file(pem: Pem) -> Iterator[str]:
    """Give a path to what OpenSSL reads only from paths; a written-out key never touches the disk."""
    if pem.path is not None:
        yield os.fspath(pem.path)
        return
    descriptor = os.memfd_create("pem")
    try:
        os.write(descriptor, pem.text.encode())
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _name(pem: Pem) -> str:
    return os.fspath(pem.path) if pem.path else "the PEM here"


def _wrong(pem: Pem, what: str) -> ConfigError:
    return ConfigError(Problem(pem.where, what))


def is_allowed(certificate: Mapping[str, Any] | None, allowed_sans: frozenset[str]) -> bool:
    """Tell whether one of the certificate's alternative names is on the list; an empty list allows all.

    ``certificate`` is what ``SSLSocket.getpeercert()`` returns.
    """
    if not allowed_sans:
        return True
    names = (certificate or {}).get("subjectAltName", ())
    held = {_canonical(value) for kind, value in names if kind in {"DNS", "email", "URI", "IP Address"}}
    return not held.isdisjoint(map(_canonical, allowed_sans))


def _canonical(name: str) -> str:
    try:
        return str(ipaddress.ip_address(name.strip()))
    except ValueError:
        return name


def environ(sock: ssl.SSLSocket) -> dict[str, str]:
    """Return the WSGI variables of a connection after its handshake, named as Apache's mod_ssl has them."""
    cipher, version, _ = sock.cipher() or ("", "", 0)
    variables = {"HTTPS": "on", "wsgi.url_scheme": "https", "SSL_PROTOCOL": version, "SSL_CIPHER": cipher}
    certificate: Mapping[str, Any] | None = sock.getpeercert()
    variables["SSL_CLIENT_VERIFY"] = "SUCCESS" if certificate else "NONE"
    if certificate:
        pairs = [pair for rdn in certificate["subject"] for pair in rdn]
        variables["SSL_CLIENT_S_DN"] = ",".join(f"{_SHORT_NAMES.get(k, k)}={v}" for k, v in pairs)
        variables["SSL_CLIENT_S_DN_CN"] = next((v for k, v in pairs if k == "commonName"), "")
        names = certificate.get("subjectAltName", ())
        variables["SSL_CLIENT_SAN"] = ",".join(f"{kind}:{value}" for kind, value in names)
    return variables
