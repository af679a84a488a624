"""Certificate requests, made in a process of their own: what signs takes ten MiB, once in some weeks.

As a program: ``request UID`` prints a request and its key, ``expiry`` reads a certificate and prints until
when it holds; both as JSON.
"""

from __future__ import annotations

import subprocess
import sys
from uuid import UUID

import msgspec

from compose_agent.errors import ComposeAgentError
from compose_agent.typed import from_json

# A fresh interpreter on a host that does other things.
_SECONDS = 60.0


class Request(msgspec.Struct, frozen=True):
    """A certificate request and the key that it belongs to, as PEM."""

    csr: str
    key: str


class CannotAsk(ComposeAgentError):
    """The process that makes requests did not do so."""


def make(uid: UUID) -> Request:
    """Return a request for a certificate of an agent; raises CannotAsk."""
    return from_json(_run("request", str(uid)), Request)


def expiry(certificate: str) -> float:
    """Return until when a certificate holds, Unix time; raises CannotAsk for what is none."""
    return from_json(_run("expiry", given=certificate), float)


def _run(*arguments: str, given: str = "") -> bytes:
    command = [sys.executable, "-P", "-m", __name__, *arguments]
    try:
        done = subprocess.run(
            command, input=given.encode(), capture_output=True, timeout=_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotAsk(f"a certificate request cannot be made: {error}") from error
    return done.stdout


def _main(arguments: list[str]) -> None:
    from cryptography import x509  # noqa: PLC0415 - not for the agent itself

    from fleet.pki import make_request  # noqa: PLC0415

    if arguments[0] == "request":
        pair = make_request(UUID(arguments[1]))
        answer: object = Request(pair.certificate.decode(), pair.key.decode())
    else:
        certificate = x509.load_pem_x509_certificate(sys.stdin.buffer.read())
        answer = certificate.not_valid_after_utc.timestamp()
    sys.stdout.buffer.write(msgspec.json.encode(answer))


if __name__ == "__main__":
    _main(sys.argv[1:])
