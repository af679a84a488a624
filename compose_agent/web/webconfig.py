"""The web configuration file of the Prometheus exporter-toolkit, read strictly.

Format: docs/web-configuration.md of prometheus/exporter-toolkit. Where this differs from it:

- ``http2`` is accepted and has no effect: this server speaks HTTP/1.1.
- ``RequireAnyClientCert`` is the same as ``RequireAndVerifyClientCert``, and ``RequestClientCert`` (which
  lets everybody in) the same as ``NoClientCert``: a certificate nobody has checked proves nothing.
- Checking client certificates needs a ``client_ca_file``; the system's authorities are never the default.
- TLS 1.0 and 1.1 (RFC 8996) are not spoken: as ``min_version`` they mean TLS 1.2.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from compose_agent.config.fields import Fields, shown
from compose_agent.config.kinds import parse_duration
from compose_agent.config.yamlfile import load
from compose_agent.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compose_agent.config.yamlfile import Node

# The headers that may be set, with the values that they may have (none listed: any).
HEADERS: dict[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
TLS_VERSIONS = {
    "TLS13": ssl.TLSVersion.TLSv1_3,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS11": ssl.TLSVersion.TLSv1_2,
    "TLS10": ssl.TLSVersion.TLSv1_2,
}
# Go's names (crypto/tls.CipherSuites) and OpenSSL's; those of TLS 1.3 cannot be chosen and are always on.
CIPHERS = {
    "TLS_AES_128_GCM_SHA256": "",
    "TLS_AES_256_GCM_SHA384": "",
    "TLS_CHACHA20_POLY1305_SHA256": "",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
}
CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}
_VERIFY = {
    "NoClientCert": ssl.CERT_NONE,
    "RequestClientCert": ssl.CERT_NONE,
    "RequireAnyClientCert": ssl.CERT_REQUIRED,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
# An old spelling that the toolkit still takes.
_AUTH_ALIASES = {"RequireClientCert": "RequireAnyClientCert"}
_BCRYPT = re.compile(r"\$2[abxy]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}", re.ASCII)
_SECTIONS = ("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit")
_TLS_KEYS = (
    *("cert", "key", "client_ca", "cert_file", "key_file", "client_ca_file", "client_auth_type"),
    *("client_allowed_sans", "min_version", "max_version", "cipher_suites", "prefer_server_cipher_suites"),
    "curve_preferences",
)


@dataclass(frozen=True, slots=True)
class Pem:
    """A certificate or key, in a file or written out; ``where`` is the line that names it."""

    where: str
    path: Path | None
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """How this server speaks TLS; ciphers and curves by OpenSSL's names, empty for its own choice."""

    where: str
    cert: Pem
    key: Pem
    client_ca: Pem | None
    verify: ssl.VerifyMode
    allowed_sans: frozenset[str]
    min_version: ssl.TLSVersion
    max_version: ssl.TLSVersion
    ciphers: tuple[str, ...]
    prefer_server_ciphers: bool
    curves: tuple[str, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the files that the TLS context is made of."""
        pems = (self.cert, self.key, self.client_ca)
        return tuple(pem.path for pem in pems if pem and pem.path)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A token bucket: ``burst`` requests at once, then one in every ``interval`` seconds."""

    interval: float
    burst: int


@dataclass(frozen=True, slots=True)
class WebConfig:
    """What a web configuration file says; ``users`` maps a name to its bcrypt hash."""

    tls: TlsConfig | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    rate_limit: RateLimit | None = None


def read(path: Path) -> WebConfig:
    """Return what the file says; ConfigError lists everything wrong with it.

    Certificates and keys are named here and read by :func:`compose_agent.web.tlscontext.build`.
    """
    problems: list[Problem] = []
    reader = _Reader(path, problems)
    root = reader.fields(load(path), "", _SECTIONS)
    config = WebConfig(
        reader.tls(root.node("tls_server_config")),
        reader.headers(root.node("http_server_config")),
        reader.users(root.node("basic_auth_users")),
        reader.rate_limit(root.node("rate_limit")),
    )
    if problems:
        raise ConfigError(problems)
    return config


class _Reader:
    """Turn the file's sections into values; a section's problems come together, in order of its keys."""

    def __init__(self, path: Path, problems: list[Problem]) -> None:
        self._path = path
        self._problems = problems

    def fields(self, node: Node | None, name: str, known: tuple[str, ...] = ()) -> Fields:
        return Fields(node, name, str(self._path), known, self._problems)

    def tls(self, node: Node | None) -> TlsConfig | None:
        fields = self.fields(node, "tls_server_config", _TLS_KEYS)
        if not fields:
            return None
        cert, key = self._pem(fields, "cert"), self._pem(fields, "key")
        for name, pem in (("cert_file", cert), ("key_file", key)):
            if pem is None and not fields.node(name):
                fields.problem(name, f"tls_server_config has no {name}, expected the path of a PEM file")
        nowhere = Pem(fields.where("cert_file"), None)
        ciphers = fields.texts("cipher_suites", CIPHERS)
        oldest, newest = _versions(fields, ciphers)
        client_ca = self._pem(fields, "client_ca")
        return TlsConfig(
            where=fields.where(""),
            cert=cert or nowhere,
            key=key or nowhere,
            client_ca=client_ca,
            verify=_client_auth(fields, client_ca),
            allowed_sans=frozenset(fields.texts("client_allowed_sans")),
            min_version=oldest,
            max_version=newest,
            ciphers=tuple(CIPHERS[name] for name in ciphers if CIPHERS[name]),
            prefer_server_ciphers=fields.boolean("prefer_server_cipher_suites", default=True),
            curves=tuple(CURVES[name] for name in fields.texts("curve_preferences", CURVES)),
        )

    def headers(self, node: Node | None) -> dict[str, str]:
        section = self.fields(node, "http_server_config", ("http2", "headers"))
        section.boolean("http2", default=True)
        fields = self.fields(section.node("headers"), "headers", tuple(HEADERS))
        values = {name: _header(fields, name) for name in HEADERS}
        return {name: value for name, value in values.items() if value}

    def users(self, node: Node | None) -> dict[str, bytes]:
        fields = self.fields(node, "basic_auth_users")
        return {name: _bcrypt_hash(fields, name) for name in fields.entries}

    def rate_limit(self, node: Node | None) -> RateLimit | None:
        fields = self.fields(node, "rate_limit", ("interval", "burst"))
        interval, burst = _interval(fields), fields.integer("burst")
        if not interval:
            return None
        if burst is None or burst < 1:
            fields.problem("burst", "rate_limit would let no request in, expected a burst of at least 1")
        return RateLimit(interval, burst or 1)

    def _pem(self, fields: Fields, key: str) -> Pem | None:
        text, file = fields.text(key), fields.text(f"{key}_file")
        if text and file:
            fields.problem(key, f"both {key} and {key}_file are given, expected one of them")
        if file:
            return Pem(fields.where(f"{key}_file"), self._path.parent / Path(file))
        return Pem(fields.where(key), None, text) if text else None


def _versions(fields: Fields, ciphers: tuple[str, ...]) -> tuple[ssl.TLSVersion, ssl.TLSVersion]:
    oldest = TLS_VERSIONS[fields.choice("min_version", TLS_VERSIONS, "TLS12")]
    newest = fields.choice("max_version", TLS_VERSIONS, "TLS13")
    if newest in {"TLS10", "TLS11"}:
        fields.problem("max_version", f"max_version {newest} leaves no version, expected TLS12 or TLS13")
    # A list without a cipher of TLS 1.2 leaves nothing for it to speak with.
    if ciphers and not any(CIPHERS[name] for name in ciphers):
        oldest = ssl.TLSVersion.TLSv1_3
    if oldest > TLS_VERSIONS[newest]:
        what = "min_version and cipher_suites leave no version up to max_version, expected at least one"
        fields.problem("max_version", what)
    return oldest, TLS_VERSIONS[newest]


def _client_auth(fields: Fields, client_ca: Pem | None) -> ssl.VerifyMode:
    name = fields.text("client_auth_type") or "NoClientCert"
    name = _AUTH_ALIASES.get(name) or fields.choice("client_auth_type", _VERIFY, "NoClientCert")
    mode = _VERIFY[name]
    if mode != ssl.CERT_NONE and client_ca is None:
        what = f"client_auth_type {name} needs client_ca_file, expected the authorities to check with"
        fields.problem("client_auth_type", what)
    if client_ca is not None and name == "NoClientCert":
        what = "client_ca_file has no effect without client_auth_type, expected RequireAndVerifyClientCert"
        fields.problem("client_ca_file", what)
    if fields.node("client_allowed_sans") and mode != ssl.CERT_REQUIRED:
        what = "client_allowed_sans needs every client's certificate, expected client_auth_type"
        fields.problem("client_allowed_sans", f"{what} RequireAndVerifyClientCert")
    return mode


def _header(fields: Fields, name: str) -> str | None:
    node = fields.node(name)
    # "X-XSS-Protection: 0" is a number to YAML.
    if node is not None and isinstance(node.value, int) and not isinstance(node.value, bool):
        return str(node.value)
    value = fields.text(name)
    if value and (not value.isascii() or not value.isprintable()):
        fields.problem(name, f"{name} is {shown(value)}, expected printable ASCII on one line")
    if value and HEADERS[name]:
        return fields.choice(name, HEADERS[name], "")
    return value


def _bcrypt_hash(fields: Fields, name: str) -> bytes:
    value = fields.text(name) or ""
    if ":" in name:
        fields.problem(
            name, f"user {shown(name)} has a colon, expected a name that basic authentication can carry"
        )
    if not _BCRYPT.fullmatch(value):
        # The value is not shown: it may be the password itself.
        what = f"user {shown(name)} has no bcrypt hash, expected one made with 'htpasswd -nBC 10 {name}'"
        fields.problem(name, what)
    return value.encode("ascii", "replace")


def _interval(fields: Fields) -> float:
    node = fields.node("interval")
    if node is None:
        return 0.0
    try:
        return parse_duration(str(node.value))
    except ValueError:
        what = f"interval is {shown(str(node.value))}, expected a duration such as 1s or 100ms"
        fields.problem("interval", what)
        return 0.0
