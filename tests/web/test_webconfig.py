from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from compose_agent.errors import ConfigError
from compose_agent.web import webconfig
from compose_agent.web.webconfig import RateLimit, WebConfig

if TYPE_CHECKING:
    from pathlib import Path

HASH = "$2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze"
PAIR = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
SECTIONS = "tls_server_config, http_server_config, basic_auth_users, rate_limit"
FULL = f"""\
tls_server_config:
  cert_file: server.crt
  key_file: /etc/keys/server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
  client_allowed_sans: [prometheus.example, 10.0.0.1]
  min_version: TLS12
  max_version: TLS13
  cipher_suites:
    - TLS_AES_128_GCM_SHA256
    - TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
  prefer_server_cipher_suites: false
  curve_preferences: [CurveP256, X25519]
http_server_config:
  http2: true
  headers:
    Content-Security-Policy: default-src 'self'
    X-Frame-Options: deny
    X-XSS-Protection: 0
    Strict-Transport-Security: ""
basic_auth_users:
  alice: {HASH}
rate_limit:
  interval: 100ms
  burst: 20
"""


def read(tmp_path: Path, text: str) -> WebConfig:
    path = tmp_path / "web.yml"
    path.write_text(text)
    return webconfig.read(path)


def test_every_field_of_the_toolkit_is_read(tmp_path: Path) -> None:
    config = read(tmp_path, FULL)
    tls = config.tls
    assert tls is not None
    assert [str(file) for file in tls.files] == [
        f"{tmp_path}/server.crt",
        "/etc/keys/server.key",
        f"{tmp_path}/ca.crt",
    ]
    assert tls.verify == ssl.CERT_REQUIRED
    assert tls.allowed_sans == {"prometheus.example", "10.0.0.1"}
    assert (tls.min_version, tls.max_version) == (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
    assert tls.ciphers == ("ECDHE-ECDSA-AES128-GCM-SHA256",)
    assert tls.curves == ("prime256v1", "X25519")
    assert not tls.prefer_server_ciphers
    assert config.headers == {
        "Content-Security-Policy": "default-src 'self'",
        "X-Frame-Options": "deny",
        "X-XSS-Protection": "0",
    }
    assert config.users == {"alice": HASH.encode()}
    assert config.rate_limit == RateLimit(0.1, 20)


@pytest.mark.parametrize("text", ["", "# nothing\n", "tls_server_config:\n", "basic_auth_users: {}\n"])
def test_an_empty_file_asks_for_nothing(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == WebConfig()


@pytest.mark.parametrize(
    ("name", "verify"),
    [
        ("NoClientCert", ssl.CERT_NONE),
        ("RequestClientCert", ssl.CERT_NONE),
        ("RequireAnyClientCert", ssl.CERT_REQUIRED),
        ("RequireClientCert", ssl.CERT_REQUIRED),
        ("VerifyClientCertIfGiven", ssl.CERT_OPTIONAL),
        ("RequireAndVerifyClientCert", ssl.CERT_REQUIRED),
    ],
)
def test_all_of_gos_client_auth_types_are_known(tmp_path: Path, name: str, verify: ssl.VerifyMode) -> None:
    authorities = "" if name == "NoClientCert" else "  client_ca_file: ca.crt\n"
    tls = read(tmp_path, f"{PAIR}  client_auth_type: {name}\n{authorities}").tls
    assert tls is not None
    assert tls.verify == verify


def test_only_ciphers_of_tls_1_3_mean_only_tls_1_3(tmp_path: Path) -> None:
    tls = read(tmp_path, f"{PAIR}  cipher_suites: [TLS_AES_256_GCM_SHA384]\n").tls
    assert tls is not None
    assert tls.min_version == ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize("name", ["TLS10", "TLS11"])
def test_versions_that_nobody_should_speak_mean_the_oldest_that_is_spoken(tmp_path: Path, name: str) -> None:
    tls = read(tmp_path, f"{PAIR}  min_version: {name}\n").tls
    assert tls is not None
    assert tls.min_version == ssl.TLSVersion.TLSv1_2


def test_an_interval_of_zero_is_no_limit(tmp_path: Path) -> None:
    assert read(tmp_path, "rate_limit: {interval: 0, burst: 0}\n").rate_limit is None


BAD = {
    "unknown section": (
        "basic_auth_user:\n  a: b\n",
        (
            f"web.yml:1: unknown key 'basic_auth_user', expected one of {SECTIONS}, "
            "did you mean 'basic_auth_users'?"
        ),
    ),
    "not a mapping": ("- a\n", "web.yml:1: the file is a list, expected a mapping"),
    "section of the wrong type": (
        "rate_limit: 5\n",
        "web.yml:1: rate_limit is the number 5, expected a mapping",
    ),
    "not YAML": (
        "a: [\n",
        "web.yml:2: is not valid YAML: expected the node content, but found '<stream end>'",
    ),
    "a key twice": (
        f"{PAIR}  key_file: b\n",
        "web.yml:4: 'key_file' stands here a second time",
    ),
    "unknown TLS key": (
        f"{PAIR}  min_versoin: TLS12\n",
        (
            "web.yml:4: unknown key 'min_versoin' in tls_server_config, expected one of cert, key, "
            "client_ca, cert_file, key_file, client_ca_file, client_auth_type, client_allowed_sans, "
            "min_version, max_version, cipher_suites, prefer_server_cipher_suites, curve_preferences, "
            "did you mean 'min_version'?"
        ),
    ),
    "no certificate": (
        "tls_server_config:\n  key_file: k\n",
        "web.yml:1: tls_server_config has no cert_file, expected the path of a PEM file",
    ),
    "no key": (
        "tls_server_config:\n  cert_file: c\n  key_file:\n",
        "web.yml:3: tls_server_config has no key_file, expected the path of a PEM file",
    ),
    "certificate of the wrong type": (
        "tls_server_config:\n  cert_file: [c]\n  key_file: k\n",
        "web.yml:2: cert_file is a list, expected text",
    ),
    "certificate twice": (
        f"{PAIR}  cert: x\n",
        "web.yml:4: both cert and cert_file are given, expected one of them",
    ),
    "unknown version": (
        f"{PAIR}  min_version: TLS1.2\n",
        (
            "web.yml:4: min_version has 'TLS1.2', expected one of TLS13, TLS12, TLS11, TLS10, "
            "did you mean 'TLS12'?"
        ),
    ),
    "only an old version": (
        f"{PAIR}  max_version: TLS11\n",
        "web.yml:4: max_version TLS11 leaves no version, expected TLS12 or TLS13",
    ),
    "versions the wrong way round": (
        f"{PAIR}  min_version: TLS13\n  max_version: TLS12\n",
        "web.yml:5: min_version and cipher_suites leave no version up to max_version, expected at least one",
    ),
    "unknown curve": (
        f"{PAIR}  curve_preferences:\n    - X25519\n    - P256\n",
        (
            "web.yml:6: curve_preferences has 'P256', expected one of CurveP256, CurveP384, "
            "CurveP521, X25519, did you mean 'CurveP256'?"
        ),
    ),
    "a list that is none": (
        f"{PAIR}  curve_preferences: X25519\n",
        "web.yml:4: curve_preferences is the text 'X25519', expected a list of texts",
    ),
    "an entry that is no text": (
        f"{PAIR}  curve_preferences:\n    - 25519\n",
        "web.yml:5: an entry of curve_preferences is the number 25519, expected text",
    ),
    "not a boolean": (
        f"{PAIR}  prefer_server_cipher_suites: maybe\n",
        "web.yml:4: prefer_server_cipher_suites is the text 'maybe', expected true or false",
    ),
    "unknown client auth": (
        f"{PAIR}  client_auth_type: RequireAndVerify\n",
        (
            "web.yml:4: client_auth_type has 'RequireAndVerify', expected one of NoClientCert, "
            "RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven, RequireAndVerifyClientCert, "
            "did you mean 'RequireAndVerifyClientCert'?"
        ),
    ),
    "client auth without authorities": (
        f"{PAIR}  client_auth_type: RequireAndVerifyClientCert\n",
        (
            "web.yml:4: client_auth_type RequireAndVerifyClientCert needs client_ca_file, "
            "expected the authorities to check with"
        ),
    ),
    "authorities without client auth": (
        f"{PAIR}  client_ca_file: ca.crt\n",
        (
            "web.yml:4: client_ca_file has no effect without client_auth_type, "
            "expected RequireAndVerifyClientCert"
        ),
    ),
    "names without client auth": (
        f"{PAIR}  client_allowed_sans: [a]\n",
        (
            "web.yml:4: client_allowed_sans needs every client's certificate, "
            "expected client_auth_type RequireAndVerifyClientCert"
        ),
    ),
    "a header that may not be set": (
        "http_server_config:\n  headers:\n    X-Frame-Option: deny\n",
        (
            "web.yml:3: unknown key 'X-Frame-Option' in headers, expected one of Content-Security-Policy, "
            "Strict-Transport-Security, X-Content-Type-Options, X-Frame-Options, X-XSS-Protection, "
            "did you mean 'X-Frame-Options'?"
        ),
    ),
    "a header's value": (
        "http_server_config:\n  headers:\n    X-Frame-Options: DENY\n",
        "web.yml:3: X-Frame-Options has 'DENY', expected one of deny, sameorigin, did you mean 'deny'?",
    ),
    "a header over two lines": (
        'http_server_config:\n  headers:\n    Content-Security-Policy: "a\\r\\nSet-Cookie: b"\n',
        "web.yml:3: Content-Security-Policy is 'a\\r\\nSet-Cookie: b', expected printable ASCII on one line",
    ),
    "http2 of the wrong type": (
        "http_server_config:\n  http2: 2\n",
        "web.yml:2: http2 is the number 2, expected true or false",
    ),
    "a password in the clear": (
        "basic_auth_users:\n  alice: hunter2\n",
        "web.yml:2: user 'alice' has no bcrypt hash, expected one made with 'htpasswd -nBC 10 alice'",
    ),
    "a user without a password": (
        "basic_auth_users:\n  alice:\n",
        "web.yml:2: user 'alice' has no bcrypt hash, expected one made with 'htpasswd -nBC 10 alice'",
    ),
    "a name with a colon": (
        f'basic_auth_users:\n  "a:b": {HASH}\n',
        "web.yml:2: user 'a:b' has a colon, expected a name that basic authentication can carry",
    ),
    "an interval without a unit": (
        "rate_limit:\n  interval: 5\n  burst: 1\n",
        "web.yml:2: interval is '5', expected a duration such as 1s or 100ms",
    ),
    "a burst that lets nothing in": (
        "rate_limit:\n  interval: 1s\n",
        "web.yml:1: rate_limit would let no request in, expected a burst of at least 1",
    ),
    "a burst of the wrong type": (
        "rate_limit:\n  interval: 0\n  burst: many\n",
        "web.yml:3: burst is the text 'many', expected a whole number",
    ),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_a_wrong_file_says_where_and_what(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert str(caught.value) == f"{tmp_path}/{message}"


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "rate_limit: 5\nbasic_auth_users: 6\nhttp_server_config: 7\n")
    assert {problem.where for problem in caught.value.problems} == {
        f"{tmp_path}/web.yml:{n}" for n in (1, 2, 3)
    }


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        webconfig.read(tmp_path / "none.yml")
    assert str(caught.value) == f"{tmp_path}/none.yml: cannot be read: No such file or directory"


def test_secrets_are_not_in_what_is_printed(tmp_path: Path) -> None:
    text = f"tls_server_config:\n  cert: CERT\n  key: TOPSECRET\nbasic_auth_users:\n  alice: {HASH}\n"
    shown = repr(read(tmp_path, text))
    assert "TOPSECRET" not in shown
    assert HASH not in shown
