"""HELO, PING and PONG: how client and server of the forward protocol prove a shared key to one another.

Fluentd forward protocol v1, "Connection phases": the server sends ``["HELO", {nonce, auth, keepalive}]``, the
client ``["PING", host, salt, H(salt + host + nonce + key), user, H(auth + user + password)]``, the server
``["PONG", ok, reason, host, H(salt + host + nonce + key)]``, where H is SHA-512 in hexadecimal digits.
Messages arrive with all their strings as bytes, because a nonce may travel as a string and be no text.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Any

import msgspec

from log_forwarder.sinks.contract import SinkUnavailable

SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client proves: its name, the key it shares with the server, and a user if the server asks."""

    host: str
    key: str = field(repr=False)
    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Hello:
    """What the server's HELO asks for; ``auth`` is empty when it wants no user."""

    nonce: bytes
    auth: bytes


def is_helo(message: object) -> bool:
    """Tell whether a message is a HELO."""
    return isinstance(message, list) and bool(message) and message[0] == b"HELO"


def read_helo(message: object) -> Hello:
    """Return the content of a HELO; SinkUnavailable for anything else."""
    match message:
        case [b"HELO", {b"nonce": bytes(nonce), **options}]:
            auth = options.get(b"auth", b"")
            return Hello(nonce, auth if isinstance(auth, bytes) else b"")
    raise SinkUnavailable(
        "the server began with something other than a HELO",
        remedy="check that it is a forward input with a shared key",
    )


def ping(hello: Hello, credentials: Credentials, salt: bytes) -> bytes:
    """Return the packed PING; SinkUnavailable if the server asks for a user and there is none."""
    if hello.auth and not credentials.user:
        raise SinkUnavailable("the server asks for a user", remedy="set user= and password-file=")
    user = credentials.user if hello.auth else ""
    secret = _digest(hello.auth, user.encode(), credentials.password.encode()) if hello.auth else ""
    proof = _proof(salt, credentials.host, hello, credentials)
    return msgspec.msgpack.encode(["PING", credentials.host, salt, proof, user, secret])


def check_pong(message: object, hello: Hello, credentials: Credentials, salt: bytes) -> None:
    """Return if the server accepts us and knows the key; SinkUnavailable says why not."""
    match message:
        case [b"PONG", True, _, bytes(host), bytes(proof), *_]:
            _check_server(host.decode("utf-8", "replace"), proof, hello, credentials, salt)
        case [b"PONG", False, reason, *_]:
            raise SinkUnavailable(
                f"the server refused the login ({_text(reason) or 'no reason given'})",
                remedy="check shared-key-file=, user=, password-file= and hostname=",
            )
        case _:
            raise SinkUnavailable(
                "the server answered the login with no PONG", remedy="check that it is a forward input"
            )


def _check_server(host: str, proof: bytes, hello: Hello, credentials: Credentials, salt: bytes) -> None:
    if host == credentials.host:
        raise SinkUnavailable(
            f"the server has our own host name '{host}'", remedy="set hostname= to another name"
        )
    expected = _proof(salt, host, hello, credentials)
    if not hmac.compare_digest(expected.encode(), proof):
        raise SinkUnavailable(
            "the server does not know the shared key", remedy="check shared-key-file= and the address"
        )


def _proof(salt: bytes, host: str, hello: Hello, credentials: Credentials) -> str:
    return _digest(salt, host.encode(), hello.nonce, credentials.key.encode())


def _digest(*parts: bytes) -> str:
    return hashlib.sha512(b"".join(parts)).hexdigest()


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""
