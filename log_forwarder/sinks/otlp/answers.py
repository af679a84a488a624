"""What a receiver of OTLP answers (opentelemetry.io/docs/specs/otlp, "OTLP/HTTP Response")."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from compose_agent import otlp, protobuf
from compose_agent.typed import from_json
from log_forwarder.sinks.contract import RequestTooLarge, SinkUnavailable
from log_forwarder.sinks.http import Response

_STATUS_MESSAGE = 2  # of google.rpc.Status


@dataclass(frozen=True, slots=True)
class Partial:
    """How many records a receiver did not take, and why; both empty when it took all."""

    rejected: int = 0
    reason: str = ""


class _JsonPartial(msgspec.Struct, rename="camel"):
    rejected_log_records: int | str = 0
    error_message: str = ""


class _JsonAnswer(msgspec.Struct, rename="camel"):
    partial_success: _JsonPartial | None = None


def partial_success(response: Response) -> Partial:
    """Return what the body of a 2xx answer says; one that cannot be read says nothing."""
    try:
        if "json" in response.headers.get("content-type", ""):
            return _from_json(response.body)
    except (ValueError, msgspec.MsgspecError):
        return Partial()
    return Partial(*otlp.partial_success(response.body))


def refused(response: Response) -> RequestTooLarge | SinkUnavailable:
    """Return the error for a status that is neither success nor one that all HTTP sinks share.

    A request that cannot be taken (400) is halved until the record that spoils it is alone. Everything else
    is about the receiver, and waits for somebody to mend it.
    """
    said = _said(response)
    if response.status == 400:
        return RequestTooLarge(f"{response.server} refuses the request (400 {said})")
    return SinkUnavailable(
        f"{response.server} answered {response.status} ({said})",
        remedy="check that the sink's address and path are those of an OTLP/HTTP receiver for logs",
        unseen=response.status >= 500,
    )


def _from_json(body: bytes) -> Partial:
    found = from_json(body or b"{}", _JsonAnswer).partial_success
    return Partial(int(found.rejected_log_records), found.error_message) if found else Partial()


def _said(response: Response) -> str:
    """Return the reason in an error's body, which is a ``Status`` or whatever a proxy makes of it."""
    try:
        found = otlp.words(protobuf.members(response.body).get(_STATUS_MESSAGE))
    except ValueError:
        found = ""
    return found or response.excerpt or "nothing"
