from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization

from compose_agent.errors import ConfigError
from compose_agent.web import tlscontext, webconfig

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    import trustme

PAIR = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"


def build(folder: Path, text: str) -> ssl.SSLContext:
    (folder / "web.yml").write_text(text)
    tls = webconfig.read(folder / "web.yml").tls
    assert tls is not None
    return tlscontext.build(tls)


def remove_certificate(folder: Path) -> None:
    (folder / "server.crt").unlink()


def garble_certificate(folder: Path) -> None:
    (folder / "server.crt").write_text("no PEM")


def garble_inside_certificate(folder: Path) -> None:
    (folder / "server.crt").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


def garble_key(folder: Path) -> None:
    (folder / "server.key").write_text("no PEM")


def encrypt_key(folder: Path) -> None:
    key: Any = serialization.load_pem_private_key((folder / "server.key").read_bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"passphrase")
    form = serialization.PrivateFormat.PKCS8
    (folder / "server.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, encryption))


def garble_authorities(folder: Path) -> None:
    (folder / "ca.crt").write_text("")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            remove_certificate,
            "2: {}/server.crt cannot be read: No such file or directory, expected a PEM file",
        ),
        (garble_certificate, "2: {}/server.crt holds no certificate, expected PEM"),
        (garble_key, "3: {}/server.key holds no private key, expected PEM"),
        (encrypt_key, "3: {}/server.key is encrypted, expected a key without a passphrase"),
        (garble_authorities, "5: {}/ca.crt holds no certificate, expected PEM"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    tls_dir: Path, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(tls_dir)
    text = f"{PAIR}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n"
    with pytest.raises(ConfigError) as caught:
        build(tls_dir, text)
    assert str(caught.value) == f"{tls_dir}/web.yml:{message.format(tls_dir)}"


def test_a_certificate_that_is_garbled_inside_is_named(tls_dir: Path) -> None:
    garble_inside_certificate(tls_dir)
    with pytest.raises(ConfigError, match=r"web.yml:2: .*server.crt and .*server.key cannot be used: "):
        build(tls_dir, PAIR)


def test_a_key_of_another_certificate_is_told(tls_dir: Path, ca: trustme.CA) -> None:
    ca.issue_cert("127.0.0.1").private_key_pem.write_to_path(tls_dir / "server.key")
    with pytest.raises(ConfigError) as caught:
        build(tls_dir, PAIR)
    assert str(caught.value) == (
        f"{tls_dir}/web.yml:3: {tls_dir}/server.key is not the key of the certificate in "
        f"{tls_dir}/server.crt, expected its own"
    )


def test_certificates_may_stand_in_the_file_itself(tls_dir: Path) -> None:
    def inline(name: str) -> str:
        return (tls_dir / name).read_text().replace("\n", "\n    ")

    text = (
        f"tls_server_config:\n  cert: |\n    {inline('server.crt')}\n  key: |\n    {inline('server.key')}\n"
    )
    assert build(tls_dir, text).get_ca_certs() == []


@pytest.mark.parametrize("curves", ["[X25519]", "[CurveP256]", "[CurveP256, X25519]"])
def test_curves_are_taken(tls_dir: Path, curves: str) -> None:
    build(tls_dir, f"{PAIR}  curve_preferences: {curves}\n")


CERTIFICATE = {
    "subjectAltName": (
        ("DNS", "prometheus.example"),
        ("email", "ops@example.org"),
        ("URI", "spiffe://example/prometheus"),
        ("IP Address", "2001:DB8:0:0:0:0:0:1"),
        ("DirName", "secret"),
    )
}


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        ([], True),
        (["prometheus.example"], True),
        (["other", "ops@example.org"], True),
        (["spiffe://example/prometheus"], True),
        (["2001:db8::1"], True),
        (["other"], False),
        (["prometheus.example.evil"], False),
        (["secret"], False),
    ],
)
def test_a_certificate_is_allowed_by_any_of_its_names(allowed: list[str], expected: bool) -> None:
    assert tlscontext.is_allowed(CERTIFICATE, frozenset(allowed)) is expected


@pytest.mark.parametrize("certificate", [None, {}])
def test_no_certificate_is_never_on_a_list(certificate: dict[str, Any] | None) -> None:
    assert not tlscontext.is_allowed(certificate, frozenset(["a"]))
