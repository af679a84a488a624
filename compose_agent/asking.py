"""What clients of other servers share: deadlines that hold for TLS too, and the words for what went wrong."""

from __future__ import annotations

import math
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from compose_agent.deadline import DeadlineSocket


class TlsSocket(DeadlineSocket, ssl.SSLSocket):
    """TLS with a deadline for everything, as DeadlineSocket has it: for ``SSLContext.sslsocket_class``."""


def with_deadline(plain: Any, timeout: float | None) -> DeadlineSocket:
    """Return a connected socket as one on which everything from now on takes ``timeout`` seconds at most."""
    sock = DeadlineSocket(plain.family, plain.type, plain.proto, plain.detach())
    sock.settimeout(timeout)
    return sock


def said(error: BaseException) -> str:
    """Return the shortest sentence in an error and its causes."""
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    if isinstance(cause, TimeoutError) and not cause.args:
        return "timed out"
    reason = getattr(cause, "verify_message", None) or getattr(cause, "strerror", None)
    return str(reason or cause or type(cause).__name__)


def retry_after(text: str) -> float:
    """Return the seconds of a Retry-After header, which has a number or a date (RFC 9110, 10.2.3)."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return 0.0
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0
