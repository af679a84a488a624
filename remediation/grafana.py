"""What is told to Grafana: annotations, which stand on its graphs where something was done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from remediation.httpapi import SECONDS, HttpApi, HttpError, Peer, idempotency, no_credentials

# By which dashboards find what this agent says.
OWN_TAG = "compose-agent"
_REMEDY = "check the address, that it is running, and that the credentials may write annotations"
_MILLISECONDS = 1000


class GrafanaError(HttpError):
    """Grafana did not answer, or did not take what it was told."""


class Grafana:
    """The API at ``url``, see HttpApi; every call raises GrafanaError. Thread-safe."""

    def __init__(
        self,
        url: str,
        *,
        seconds: float = SECONDS,
        credentials: Callable[[], Mapping[str, str]] = no_credentials,
    ) -> None:
        peer = Peer("Grafana", url, _REMEDY, GrafanaError)
        self._api = HttpApi(peer, seconds=seconds, credentials=credentials)

    def annotate(self, at: float, text: str, tags: Sequence[str], *, key: str = "") -> None:
        """Write an annotation at a time (Unix seconds); ``key`` names the call, which may be repeated."""
        annotation = {"time": int(at * _MILLISECONDS), "tags": [OWN_TAG, *tags], "text": text}
        self._api.expect("POST", "/api/annotations", msgspec.json.encode(annotation), idempotency(key))

    def close(self) -> None:
        """Close the connections that are kept."""
        self._api.close()
