"""The verb ``http``: call a server of the policy's choice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from compose_agent.dockerd.verbs.model import VerbRequest
from compose_agent.typed import convert
from remediation.httpapi import HeaderFile, HttpApi, Peer, idempotency, no_credentials

_REMEDY = "check the url of the policy, and the server's log"
# Of what comes back nothing is used but the beginning, in a sentence.
_MOST_BYTES = 1 << 20


class Arguments(msgspec.Struct, rename="kebab", frozen=True):
    """Where a request goes and what it carries; ``timeout`` in seconds. A secret is read when it is sent."""

    url: str
    method: str = "POST"
    body: str | None = None
    header_file: str | None = None
    header: str = "Authorization"
    timeout: float = 10.0


class Http:
    """See the module; an answer of 2xx is a success."""

    name = "http"

    def send(self, request: VerbRequest) -> None:
        """Make the call; raises HttpError, and ConfigError for a secret that cannot be read."""
        post(convert(request.arguments, Arguments), request.id)


def post(arguments: Arguments, key: str) -> None:
    """Send one request under an idempotency key.

    Errors name the server without path and query, in which some servers have their secrets.
    """
    url = urlsplit(arguments.url)
    api = HttpApi(
        Peer("the server", f"{url.scheme}://{url.netloc}", _REMEDY),
        seconds=arguments.timeout,
        most_bytes=_MOST_BYTES,
        credentials=credentials(arguments),
    )
    body = None if arguments.body is None else arguments.body.encode()
    try:
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        api.expect(arguments.method, path, body, idempotency(key))
    finally:
        api.close()


def credentials(arguments: Arguments) -> Callable[[], Mapping[str, str]]:
    """Return what reads the secret header of a call."""
    if arguments.header_file is None:
        return no_credentials
    return HeaderFile(Path(arguments.header_file), arguments.header)
