from __future__ import annotations

import ipaddress
import ssl
from dataclasses import replace
from typing import Any

import pytest

from compose_agent.address import Address
from compose_agent.errors import ConfigError
from compose_agent.web.webconfig import Pem, TlsConfig, WebConfig
from remediation.receiver.auth import Access, is_loopback, is_within, proves, require_proof
from remediation.receiver.refusal import Refusal, Why
from remediation.receiver.signatures import SIGNATURE_HEADER, TIMESTAMP_HEADER, Replays, Signatures, sign

TOKENS = (b"token-1", b"token-2")
NOW = 1_800_000_000
LOCAL = {"REMOTE_ADDR": "127.0.0.1"}
BASIC = {**LOCAL, "AUTH_TYPE": "Basic", "REMOTE_USER": "alertmanager"}
CERTIFICATE = {**LOCAL, "SSL_CLIENT_VERIFY": "SUCCESS"}
TLS = TlsConfig(
    where="web.yml:1",
    cert=Pem("", None),
    key=Pem("", None),
    client_ca=None,
    verify=ssl.CERT_REQUIRED,
    allowed_sans=frozenset(),
    min_version=ssl.TLSVersion.TLSv1_2,
    max_version=ssl.TLSVersion.TLSv1_3,
    ciphers=(),
    prefer_server_ciphers=True,
    curves=(),
)


def bearer(token: str, **more: str) -> dict[str, Any]:
    return {**LOCAL, "HTTP_AUTHORIZATION": f"Bearer {token}", **more}


def signed(key: bytes = b"key", body: bytes = b"{}", at: int = NOW) -> dict[str, Any]:
    names = [f"HTTP_{name.upper().replace('-', '_')}" for name in (TIMESTAMP_HEADER, SIGNATURE_HEADER)]
    return {**LOCAL, **dict(zip(names, (str(at), sign(key, str(at), body)), strict=True))}


def access(*, tokens: bool = False, keys: bool = False, required: bool = False, **more: Any) -> Access:
    signatures = Signatures(lambda: [b"key"], Replays(), lambda: NOW) if keys else None
    return Access(
        tokens=(lambda: TOKENS) if tokens else None, signatures=signatures, required=required, **more
    )


def judged(judge: Access, environ: dict[str, Any]) -> Why | bool:
    """Return why a request is refused, or whether its body must still prove it."""
    try:
        return judge.judge_head(environ)
    except Refusal as refusal:
        return refusal.why


@pytest.mark.parametrize(
    ("judge", "environ", "expected"),
    [
        (access(), LOCAL, False),
        (access(required=True), LOCAL, Why.NO_CREDENTIALS),
        (access(required=True), BASIC, False),
        (access(required=True), CERTIFICATE, False),
        (access(required=True), {**LOCAL, "SSL_CLIENT_VERIFY": "NONE"}, Why.NO_CREDENTIALS),
        (access(required=True), {**LOCAL, "REMOTE_USER": "root"}, Why.NO_CREDENTIALS),
        (access(required=True), {**LOCAL, "HTTP_AUTH_TYPE": "Basic"}, Why.NO_CREDENTIALS),
        (access(tokens=True), LOCAL, Why.NO_CREDENTIALS),
        (access(tokens=True), CERTIFICATE, Why.NO_CREDENTIALS),
        (access(tokens=True), bearer("token-1"), False),
        (access(tokens=True), bearer("token-2"), False),
        (access(tokens=True, required=True), bearer("token-2"), False),
        (access(tokens=True), {**LOCAL, "HTTP_AUTHORIZATION": "bearer  token-2 "}, False),
        (access(tokens=True), bearer("token-3"), Why.WRONG_TOKEN),
        (access(tokens=True), bearer("token-"), Why.WRONG_TOKEN),
        (access(tokens=True), bearer(""), Why.WRONG_TOKEN),
        (access(tokens=True), bearer("ÿ\x00ł"), Why.WRONG_TOKEN),
        (access(tokens=True), {**LOCAL, "HTTP_AUTHORIZATION": "token-1"}, Why.NO_CREDENTIALS),
        (access(tokens=True), {**LOCAL, "HTTP_AUTHORIZATION": "Basic dG9rZW4tMQ=="}, Why.NO_CREDENTIALS),
        (access(tokens=True), signed(), Why.NO_CREDENTIALS),
        (access(keys=True), signed(), True),
        (access(keys=True), LOCAL, Why.NO_CREDENTIALS),
        (access(keys=True), BASIC, Why.NO_CREDENTIALS),
        (access(keys=True), bearer("token-1"), Why.NO_CREDENTIALS),
        (access(tokens=True, keys=True), signed(), True),
        (access(tokens=True, keys=True), bearer("token-1"), False),
        (access(tokens=True, keys=True), {**signed(), **bearer("token-3")}, Why.WRONG_TOKEN),
        (access(), {**LOCAL, "HTTP_ORIGIN": "http://127.0.0.1:9419"}, Why.BROWSER),
        (access(tokens=True), bearer("token-1", HTTP_ORIGIN="null"), Why.BROWSER),
    ],
)
def test_who_gets_in(judge: Access, environ: dict[str, Any], expected: Why | bool) -> None:
    assert judged(judge, environ) is expected


def test_a_signature_is_judged_with_the_body_and_used_up() -> None:
    judge = access(keys=True)
    assert judge.judge_body(signed(), b"{}")
    for environ, body, why in [
        (signed(), b"{}", Why.REPLAYED),
        (signed(), b"{ }", Why.WRONG_SIGNATURE),
        (signed(key=b"other"), b"{}", Why.WRONG_SIGNATURE),
        (signed(at=NOW - 1000), b"{}", Why.STALE_SIGNATURE),
    ]:
        with pytest.raises(Refusal) as refused:
            judge.judge_body(environ, body)
        assert refused.value.why is why


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.1.2.3", False),
        ("10.2.0.1", Why.ADDRESS),
        ("fd00::1", False),
        ("fe80::1%eth0", Why.ADDRESS),
        ("", Why.ADDRESS),
        ("10.1.2.3, 10.2.0.1", Why.ADDRESS),
    ],
)
def test_the_allow_list_is_about_who_is_connected(address: str, expected: Why | bool) -> None:
    judge = access(allowed=[ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd00::/8")])
    assert judged(judge, {"REMOTE_ADDR": address, "HTTP_X_FORWARDED_FOR": "10.1.2.3"}) is expected


def test_the_allow_list_alone_proves_nothing() -> None:
    judge = access(allowed=[ipaddress.ip_network("10.1.0.0/16")], required=True)
    assert judged(judge, {"REMOTE_ADDR": "10.1.2.3"}) is Why.NO_CREDENTIALS


def test_networks_of_the_other_family_hold_nobody() -> None:
    assert not is_within("::1", [ipaddress.ip_network("0.0.0.0/0")])


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("localhost", True),
        ("LocalHost", True),
        ("", False),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example.org", False),
    ],
)
def test_which_addresses_only_this_host_reaches(host: str, loopback: bool) -> None:
    assert is_loopback(Address(host, 9419)) is loopback


@pytest.mark.parametrize(
    ("web", "expected"),
    [
        (None, False),
        (WebConfig(), False),
        (WebConfig(users={"a": b"hash"}), True),
        (WebConfig(tls=TLS), True),
        (WebConfig(tls=replace(TLS, verify=ssl.CERT_OPTIONAL)), False),
        (WebConfig(tls=replace(TLS, verify=ssl.CERT_NONE)), False),
    ],
)
def test_which_web_configurations_prove_who_asks(web: WebConfig | None, expected: bool) -> None:
    assert proves(web) is expected


def test_an_address_that_others_reach_needs_proof_or_a_word() -> None:
    addresses = [Address("127.0.0.1", 9419), Address("", 9419)]
    require_proof(addresses[:1], insecure=False, proof=False)
    require_proof(addresses, insecure=True, proof=False)
    require_proof(addresses, insecure=False, proof=True)
    with pytest.raises(ConfigError, match=r":9419 can be reached from other hosts, expected .*bearer-token"):
        require_proof(addresses, insecure=False, proof=False)


def test_a_refusal_tells_its_sender_nothing() -> None:
    for why in (Why.NO_CREDENTIALS, Why.WRONG_TOKEN, Why.STALE_SIGNATURE, Why.REPLAYED):
        assert Refusal(why, "because of this").response().body == b"unauthorized\n"
    assert Refusal(Why.ADDRESS, "because of this").response().body == b"forbidden\n"


def test_every_reason_has_a_status() -> None:
    assert {Refusal(why).status < 600 for why in Why} == {True}
