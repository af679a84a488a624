"""What a receiver of OTLP answers to any signal (opentelemetry.io/docs/specs/otlp, "OTLP/HTTP Response")."""

from __future__ import annotations

from compose_agent.protobuf import members

# ExportTraceServiceResponse, ExportLogsServiceResponse and the message in them have the same numbers.
_PARTIAL_SUCCESS = 1
_REJECTED, _MESSAGE = 1, 2
_MOST_WORDS = 300
_PAST_INT64 = 1 << 63


def partial_success(body: bytes) -> tuple[int, str]:
    """Return how many items a receiver did not take, and why; 0 when it took all or cannot be read."""
    try:
        partial = members(body).get(_PARTIAL_SUCCESS)
        found = members(partial) if isinstance(partial, bytes) else {}
    except ValueError:
        return 0, ""
    rejected = found.get(_REJECTED, 0)
    number = rejected if isinstance(rejected, int) and rejected < _PAST_INT64 else 0
    return number, words(found.get(_MESSAGE))


def words(value: int | bytes | None) -> str:
    """Return a text of a message in one line, for people; empty for what is none."""
    if not isinstance(value, bytes):
        return ""
    return " ".join(value[:_MOST_WORDS].decode("utf-8", "replace").split())
