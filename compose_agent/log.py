"""Structured logs on standard error: logfmt for people, JSON for machines.

Call sites use the standard library: ``logger.warning("event stream lost", extra={"error": str(e)})``.
Everything in ``extra`` becomes a field of the line.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from compose_agent.tracing.context import active_ids

Format = Literal["logfmt", "json"]

# What every LogRecord has by itself; the rest came in through ``extra``.
_OWN_FIELDS = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


def setup(
    level: str = "info",
    fmt: Format = "logfmt",
    stream: TextIO | None = None,
    *,
    copies: Sequence[logging.Handler] = (),
) -> None:
    """Send the logs of this process to ``stream`` (standard error), replacing what was set before.

    ``copies`` get every record too.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_JsonFormatter() if fmt == "json" else _LogfmtFormatter())
    root = logging.getLogger()
    replaced = root.handlers[:]
    root.handlers[:] = [handler, *copies]  # at once, so that no line of another thread is lost
    root.setLevel(level.upper())
    for each in replaced:
        each.close()
    # Libraries speak up only when something is wrong.
    for noisy in ("docker", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields of a line in the order in which they are printed."""
    fields: dict[str, Any] = {
        "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "msg": record.getMessage(),
    }
    if ids := active_ids():
        fields["trace_id"], fields["span_id"] = ids
    fields.update((key, value) for key, value in record.__dict__.items() if key not in _OWN_FIELDS)
    if record.exc_info:
        fields["exception"] = logging.Formatter().formatException(record.exc_info)
    return fields


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(fields_of(record), default=str, ensure_ascii=False)


class _LogfmtFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return " ".join(f"{key}={_quoted(value)}" for key, value in fields_of(record).items())


def _quoted(value: object) -> str:
    text = str(value)
    plain = text and text.isprintable() and not any(character in text for character in ' "=\\')
    return text if plain else json.dumps(text, ensure_ascii=False)
