"""What a receiver of OTLP answers (opentelemetry.io/docs/specs/otlp, "OTLP/HTTP Response")."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from compose_agent.protobuf import fields
from log_forwarder.sinks.contract import RequestTooLarge, SinkUnavailable
from log_forwarder.sinks.http import Response

_PARTIAL_SUCCESS = 1  # of ExportLogsServiceResponse
_REJECTED, _MESSAGE = 1, 2  # of ExportLogsPartialSuccess
_STATUS_MESSAGE = 2  # of google.rpc.Status
_EXCERPT = 300


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
        partial = _member(response.body, _PARTIAL_SUCCESS)
        return Partial(_count(partial), _text(_member(partial, _MESSAGE)))
    except (ValueError, msgspec.MsgspecError):
        return Partial()


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
    found = msgspec.json.decode(body or b"{}", type=_JsonAnswer).partial_success
    return Partial(int(found.rejected_log_records), found.error_message) if found else Partial()


def _count(partial: bytes) -> int:
    for number, value in fields(partial):
        if number == _REJECTED and isinstance(value, int):
            return value
    return 0


def _member(message: bytes, wanted: int) -> bytes:
    for number, value in fields(message):
        if number == wanted and isinstance(value, bytes):
            return value
    return b""


def _said(response: Response) -> str:
    """Return the reason in an error's body, which is a ``Status`` or whatever a proxy makes of it."""
    try:
        found = _text(_member(response.body, _STATUS_MESSAGE))
    except ValueError:
        found = ""
    return found or response.excerpt or "nothing"


def _text(data: bytes) -> str:
    return " ".join(data[:_EXCERPT].decode("utf-8", "replace").split())
