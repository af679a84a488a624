"""What sinks of one HTTP request for each batch share: compression, and headers from a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from log_forwarder.sinks.deflate import gzipped
from log_forwarder.sinks.http import HttpClient, Response
from log_forwarder.sinks.word import SinkWord

# RFC 9110, 5.6.2: what the name of a header may have; its value is any text without control characters.
_HEADER = re.compile(r"(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(?P<value>[^\x00-\x08\x0a-\x1f\x7f]*)")
_NONE: Mapping[str, str] = MappingProxyType({})
# These are the client's own.
_RESERVED = ("content-length", "content-type", "content-encoding", "host", "transfer-encoding", "connection")


class Poster:
    """Posts bodies of one type to one path, packed if that is wanted."""

    def __init__(self, client: HttpClient, path: str, content_type: str, *, compress: bool) -> None:
        self._client = client
        self._path = path
        self._headers = {"Content-Type": content_type}
        if compress:
            self._headers["Content-Encoding"] = "gzip"
        self._compress = compress

    def post(self, body: bytes, headers: Mapping[str, str] = _NONE) -> Response:
        """Return the answer, whatever its status; raises SinkUnavailable."""
        packed = gzipped(body) if self._compress else body
        return self._client.request("POST", self._path, packed, {**headers, **self._headers})

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def headers_of(word: SinkWord, option: str) -> Mapping[str, str]:
    """Return the headers in the file that an option names, one ``Name: value`` a line; raises ConfigError."""
    headers: dict[str, str] = {}
    for line in (word.secret(option) or "").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        match = _HEADER.fullmatch(line.strip())
        # The value may be a secret, so the line is not shown.
        if match is None or not match["value"].isascii():
            raise word.problem(f"{option}: expected lines such as X-Scope-OrgID: shop")
        if match["name"].lower() in _RESERVED:
            raise word.problem(f"{option}: the header {match['name']} is set by the agent")
        headers[match["name"]] = match["value"]
    return headers
