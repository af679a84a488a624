"""The link over plain HTTP, where WebSocket does not come through: the manager speaks when it is asked."""

from __future__ import annotations

import gzip
import queue
import socket
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from fleet.agent.path import SOCKET_OPTIONS
from fleet.agent.transport import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    LinkError,
    Target,
    is_refusal,
    retry_after,
)
from fleet.opamp.frames import CONTENT_TYPE, MalformedMessage, from_body
from fleet.opamp.opamp_pb2 import AgentToServer, ServerToAgent
from fleet.opamp.uid import uid_text

# Shorter bodies do not become shorter.
_GZIP_FROM_BYTES = 500


class PollingTransport:
    """See :class:`fleet.agent.transport.Transport`; ``send`` waits for the answer."""

    name = "http"
    polls = True

    def __init__(self, target: Target) -> None:
        self._target = target
        self._pool = urllib3.PoolManager(
            1, ssl_context=target.tls, retries=False, socket_options=SOCKET_OPTIONS
        )
        self._answers: queue.SimpleQueue[ServerToAgent | None] = queue.SimpleQueue()  # None: it is closed
        self.local_address = ""

    def open(self) -> None:
        """Find out from which address the manager is reached; connections come with the messages."""
        parts = urlsplit(self._target.http_url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            with socket.create_connection((parts.hostname or "", port), CONNECT_SECONDS) as probe:
                self.local_address = str(probe.getsockname()[0])
        except OSError as error:
            raise LinkError(f"cannot connect to {self._target.http_url}: {error}") from error

    def send(self, message: AgentToServer) -> None:
        """Post a message and keep the answer."""
        body = message.SerializeToString()
        headers = {
            "Content-Type": CONTENT_TYPE,
            "OpAMP-Instance-UID": uid_text(message.instance_uid),
            **self._target.headers,
        }
        if len(body) >= _GZIP_FROM_BYTES:
            body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=ANSWER_SECONDS)
        try:
            answer = self._pool.request(
                "POST", self._target.http_url, body=body, headers=headers, timeout=timeout
            )
        except (HTTPError, OSError) as error:
            refused = any(map(is_refusal, (error, *getattr(error, "args", ()))))
            raise LinkError(f"cannot ask {self._target.http_url}: {error}", refused=refused) from error
        if answer.status != 200:
            what = f"the manager answers with status {answer.status}"
            pause = retry_after(answer.headers.get("Retry-After"))
            raise LinkError(what, pause=pause, refused=answer.status == 401)
        try:
            self._answers.put(from_body(ServerToAgent, answer.data))
        except MalformedMessage as error:
            raise LinkError(f"the manager sends no OpAMP: {error}") from error

    def receive(self, timeout: float) -> ServerToAgent | None:
        """Return the next answer; waits for messages of other threads to have one."""
        try:
            answer = self._answers.get(timeout=timeout)
        except queue.Empty:
            return None
        if answer is None:
            raise LinkError("the connection is closed")
        return answer

    def close(self) -> None:
        """Close what is open."""
        self._answers.put(None)
        self._pool.clear()
