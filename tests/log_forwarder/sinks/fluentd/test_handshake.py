from __future__ import annotations

import hashlib
from typing import Any

import msgpack
import pytest

from log_forwarder.sinks.contract import SinkUnavailable
from log_forwarder.sinks.fluentd.handshake import Credentials, Hello, check_pong, is_helo, ping, read_helo

CREDENTIALS = Credentials("host-1", "key", "shop", "password")
SALT = bytes(range(16))
NONCE = b"\xff" * 16
AUTH = b"\xfe" * 16


def _sha512(*parts: bytes) -> str:
    return hashlib.sha512(b"".join(parts)).hexdigest()


def _pong(host: bytes = b"server", key: bytes = b"key") -> list[Any]:
    return [b"PONG", True, b"", host, _sha512(SALT, host, NONCE, key).encode()]


@pytest.mark.parametrize(
    ("options", "hello"),
    [
        ({b"nonce": NONCE, b"auth": AUTH, b"keepalive": True}, Hello(NONCE, AUTH)),
        ({b"nonce": NONCE, b"auth": b""}, Hello(NONCE, b"")),
        ({b"nonce": NONCE}, Hello(NONCE, b"")),
        ({b"nonce": NONCE, b"auth": None}, Hello(NONCE, b"")),
    ],
)
def test_a_helo_is_read(options: dict[bytes, Any], hello: Hello) -> None:
    assert is_helo([b"HELO", options])
    assert read_helo([b"HELO", options]) == hello


@pytest.mark.parametrize(
    "message", [None, 1, [], [b"HELO"], [b"HELO", {}], [b"PONG", {b"nonce": NONCE}], {b"ack": b"x"}]
)
def test_what_is_no_helo_is_refused(message: object) -> None:
    with pytest.raises(SinkUnavailable, match="began with something other than a HELO"):
        read_helo(message)


@pytest.mark.parametrize(
    ("auth", "user", "secret"),
    [(b"", "", ""), (AUTH, "shop", _sha512(AUTH, b"shop", b"password"))],
)
def test_a_ping_proves_the_key_and_only_if_asked_the_user(auth: bytes, user: str, secret: str) -> None:
    proof = _sha512(SALT, b"host-1", NONCE, b"key")
    assert msgpack.unpackb(ping(Hello(NONCE, auth), CREDENTIALS, SALT)) == [
        "PING",
        "host-1",
        SALT,
        proof,
        user,
        secret,
    ]


def test_a_server_that_asks_for_a_user_that_is_not_set_is_named_as_the_reason() -> None:
    with pytest.raises(SinkUnavailable, match="asks for a user: set user= and password-file="):
        ping(Hello(NONCE, AUTH), Credentials("host-1", "key"), SALT)


def test_a_server_that_knows_the_key_is_accepted() -> None:
    check_pong(_pong(), Hello(NONCE, b""), CREDENTIALS, SALT)


@pytest.mark.parametrize(
    ("pong", "reason"),
    [
        (_pong(key=b"other"), "does not know the shared key"),
        (_pong(host=b"host-1"), "the server has our own host name 'host-1': set hostname="),
        ([b"PONG", False, b"shared_key mismatch", b"", b""], r"refused the login \(shared_key mismatch\)"),
        ([b"PONG", False, b"", b"", b""], r"refused the login \(no reason given\)"),
        ([b"PONG", False, None], r"refused the login \(no reason given\)"),
        ([b"PONG", True, b"", b"server", b"\xff"], "does not know the shared key"),
        ([b"PONG", True], "with no PONG"),
        ([b"HELO", {}], "with no PONG"),
        ({b"ack": b"x"}, "with no PONG"),
    ],
)
def test_a_wrong_answer_to_the_login_is_told_in_one_sentence(pong: object, reason: str) -> None:
    with pytest.raises(SinkUnavailable, match=reason):
        check_pong(pong, Hello(NONCE, b""), CREDENTIALS, SALT)


def test_secrets_do_not_show_when_credentials_are_printed() -> None:
    assert "key'" not in repr(CREDENTIALS)
    assert "password" not in repr(CREDENTIALS)
