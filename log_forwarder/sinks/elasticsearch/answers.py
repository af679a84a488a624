"""Sorting the answer to a ``_bulk``: what is stored, what never will be, what is to be sent again.

Elasticsearch and OpenSearch answer 200 whatever became of the documents; ``items`` has one status each, in
the order of the request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from compose_agent.typed import json_decoder
from log_forwarder.sinks.contract import RequestTooLarge, SinkUnavailable

# The parts of an answer that are read here.
FILTER_PATH = "errors,items.*.status,items.*.error.type,items.*.error.reason"
# Refusals that are about the index or the user, not about the document: somebody has to mend them, and then
# the same document is welcome. The pipeline's has the type that mapping errors have as well.
_PRIVILEGES = "give the user the privileges create_doc and auto_configure"
_NOT_THE_DOCUMENT = {
    "cluster_block_exception": "free disk space, or lift the write block of the index",
    "security_exception": _PRIVILEGES,
    "index_not_found_exception": "allow the index to be created automatically, or create it",
}
_NO_PIPELINE = "pipeline with id"
# A whole request is refused with one of these when something in it cannot be read.
_UNREADABLE = (
    "action_request_validation_exception",
    "illegal_argument_exception",
    "json_parse_exception",
    "parse_exception",
    "parsing_exception",
    "x_content_parse_exception",
)
# … but this one is about the URL.
_UNKNOWN_PARAMETER = "unrecognized parameter"
_EXCERPT = 300


class Error(msgspec.Struct, gc=False):
    """Why something was refused, in the server's words."""

    type: str = ""
    reason: str | None = None

    def __str__(self) -> str:
        return f"{self.type}: {self.reason}" if self.reason else self.type


class Outcome(msgspec.Struct, gc=False):
    """What became of one document."""

    status: int
    error: Error | None = None


class _Bulk(msgspec.Struct, gc=False):
    errors: bool
    items: list[dict[str, Outcome]] = []


class _Refusal(msgspec.Struct, gc=False):
    error: Error | str
    status: int = 0


@dataclass(frozen=True, slots=True)
class Sorted:
    """Indices of a request's documents by what is to be done; ``in_doubt``: some may be stored even so."""

    rejected: dict[int, str]
    again: list[int]
    in_doubt: bool = False


_read_bulk = json_decoder(_Bulk).decode
_read_refusal = json_decoder(_Refusal).decode
_ALL_STORED = Sorted({}, [])


def sorted_out(body: bytes, count: int) -> Sorted:
    """Return what became of ``count`` documents; raises SinkUnavailable when that cannot be told."""
    try:
        bulk = _read_bulk(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _no_answer(body) from error
    if len(bulk.items) != count:
        raise _no_answer(body)
    if not bulk.errors:
        return _ALL_STORED
    return _by_status([outcome for item in bulk.items for outcome in item.values()])


def _by_status(outcomes: Sequence[Outcome]) -> Sorted:
    rejected: dict[int, str] = {}
    again: list[int] = []
    in_doubt = False
    for index, outcome in enumerate(outcomes):
        # 409: a document of this id is there already, which is what was wanted.
        if outcome.status < 300 or outcome.status == 409:
            continue
        error = outcome.error or Error("status", str(outcome.status))
        if outcome.status == 429 or outcome.status >= 500:
            again.append(index)
            in_doubt = in_doubt or outcome.status >= 500
        else:
            _refuse_all_for(error)
            rejected[index] = str(error)
    return Sorted(rejected, again, in_doubt)


def _refuse_all_for(error: Error) -> None:
    """Raise SinkUnavailable for what is no fault of the document."""
    remedy = _NOT_THE_DOCUMENT.get(error.type)
    if (error.reason or "").startswith(_NO_PIPELINE):
        remedy = "create the pipeline, or correct the sink's pipeline="
    if remedy:
        # Others of the same request were stored.
        raise SinkUnavailable(f"documents are refused ({error})", remedy=remedy, unseen=True)


def refused_whole(status: int, body: bytes) -> RequestTooLarge | SinkUnavailable:
    """Return the error for a request that was refused with a status that no HTTP sink shares.

    One that cannot be read is halved, until the document that spoils it is alone.
    """
    error = _refusal(body)
    if status == 400 and error.type in _UNREADABLE and _UNKNOWN_PARAMETER not in (error.reason or ""):
        return RequestTooLarge(str(error))
    said = str(error) if error.type else _excerpt(body)
    return SinkUnavailable(
        f"the server answered {status} to _bulk ({said})",
        remedy="check that the sink's address is that of Elasticsearch or OpenSearch",
        unseen=status >= 500,
    )


def _refusal(body: bytes) -> Error:
    try:
        error = _read_refusal(body).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Error()
    return error if isinstance(error, Error) else Error("error", error)


def _no_answer(body: bytes) -> SinkUnavailable:
    return SinkUnavailable(
        f"what the server answered to _bulk cannot be read ({_excerpt(body)})",
        remedy="check that the sink's address is that of Elasticsearch or OpenSearch",
        unseen=True,
    )


def _excerpt(body: bytes) -> str:
    text = body[:_EXCERPT].decode("utf-8", "replace")
    return " ".join(text.split()) or "nothing"
