"""Options of tracing, and what they come to together with the variables ``OTEL_…`` of the environment."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from compose_agent.config import kinds
from compose_agent.config.options import option
from compose_agent.tracing.holding import Limits

logger = logging.getLogger(__name__)

# Roles whose spans are worth keeping where no collector is: what was done, and why.
KEPT_WITHOUT_COLLECTOR = ("remediation", "broker", "agent")
TRACES_PATH, METRICS_PATH = "/v1/traces", "/v1/metrics"
TRACE_ID = "{trace_id}"
# Of the specification of OTLP exporters, and of the batching of spans.
_TIMEOUT_MS, _BATCH_SPANS, _DELAY_MS = 10_000, 512, 5_000
_MS = 1000.0


def _parse_endpoint(text: str) -> str:
    url = urlsplit(text)
    if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
        raise ValueError(text)
    return text


def _parse_backend(text: str) -> str:
    if TRACE_ID not in text or urlsplit(text).scheme not in ("http", "https"):
        raise ValueError(text)
    return text


def _parse_ratio(text: str) -> float:
    ratio = float(text)
    if not 0.0 <= ratio <= 1.0:
        raise ValueError(text)
    return ratio


_endpoint = kinds.Kind("URL", "a URL such as http://127.0.0.1:4318", _parse_endpoint)
_backend = kinds.Kind("URL", "a URL with {trace_id} in it", _parse_backend)
_ratio = kinds.Kind("ratio", "a number from 0 to 1", _parse_ratio)


@dataclass(frozen=True, slots=True)
class TracingSettings:
    """Where spans go, and how many of them are kept. See docs/tracing.md."""

    enabled: bool = option("enabled", kinds.boolean, "true", "Trace what the agent does.", restart=True)
    endpoint: str | None = option(
        "endpoint",
        _endpoint,
        None,
        "Where a collector takes OTLP over HTTP, without /v1/traces. Unset: OTEL_EXPORTER_OTLP_ENDPOINT. "
        "With none, what remediation and broker do is traced on disk only, for 'compose-agent why'.",
        restart=True,
    )
    headers_file: Path | None = option(
        "headers-file",
        kinds.path,
        None,
        "A file with a header for the collector in each line, such as 'authorization: Bearer …'. "
        "OTEL_EXPORTER_OTLP_HEADERS adds to them.",
        restart=True,
    )
    ca_file: Path | None = option(
        "ca-file",
        kinds.path,
        None,
        "Certificates that the collector's is checked against. Unset: OTEL_EXPORTER_OTLP_CERTIFICATE, then "
        "the system's.",
        restart=True,
    )
    sample_ratio: float | None = option(
        "sample-ratio",
        _ratio,
        None,
        "The share of traces that are kept of what is no action, such as batches of log lines. Actions "
        "always are. Unset: OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG, then 0.01.",
        restart=True,
    )
    spool_size: int = option(
        "spool-size", kinds.size, "32MiB", "How much each role's spans take on disk at most.", restart=True
    )
    keep_size: int = option(
        "keep-size",
        kinds.size,
        "4MiB",
        "How much of that stays for 'compose-agent why' after the collector has it.",
        restart=True,
    )
    shutdown_timeout: float = option(
        "shutdown-timeout",
        kinds.duration,
        "5s",
        "How long the end of a role may take until its last spans are left to the next start.",
        restart=True,
    )
    backend_url: str | None = option(
        "backend-url",
        _backend,
        None,
        "Where people see a trace, with {trace_id} in its place, such as "
        "http://127.0.0.1:16686/trace/{trace_id} of Jaeger.",
        restart=True,
    )

    def limits(self) -> Limits:
        """Return the limits of the spool."""
        return Limits(self.spool_size, min(self.keep_size, self.spool_size))


@dataclass(frozen=True, slots=True)
class Collector:
    """Where and how spans are sent. ``timeout`` is in seconds; ``headers`` may be secret."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers_file: Path | None = None
    timeout: float = _TIMEOUT_MS / _MS
    gzip: bool = True
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    batch: int = _BATCH_SPANS
    delay: float = _DELAY_MS / _MS


@dataclass(frozen=True, slots=True)
class Signal:
    """What is sent: ``name`` as in OpenTelemetry's variables, ``path`` as in the protocol."""

    name: str
    path: str


TRACES, METRICS = Signal("TRACES", TRACES_PATH), Signal("METRICS", METRICS_PATH)


def wanted(settings: TracingSettings, environ: Mapping[str, str], role: str) -> bool:
    """Tell whether a role traces at all."""
    if not settings.enabled or environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    return role in KEPT_WITHOUT_COLLECTOR or collector(settings, environ) is not None


def collector(
    settings: TracingSettings, environ: Mapping[str, str], signal: Signal = TRACES
) -> Collector | None:
    """Return the collector that settings and environment name, None for none. Settings come first."""
    if (url := _url(settings, environ, signal)) is None:
        return None

    def said(name: str) -> str:
        """Return a variable of OTLP exporters; that for the signal comes before that for all."""
        own = environ.get(f"OTEL_EXPORTER_OTLP_{signal.name}_{name}")
        return own or environ.get(f"OTEL_EXPORTER_OTLP_{name}") or ""

    _warn_of_protocol(said("PROTOCOL"))
    return Collector(
        url=url,
        headers=_headers(said("HEADERS")),
        headers_file=settings.headers_file,
        timeout=_number(said("TIMEOUT"), _TIMEOUT_MS) / _MS,
        gzip=said("COMPRESSION") != "none",
        ca=settings.ca_file or _path(said("CERTIFICATE")),
        certificate=_path(said("CLIENT_CERTIFICATE")),
        key=_path(said("CLIENT_KEY")),
        batch=int(_number(environ.get("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", ""), _BATCH_SPANS)),
        delay=_number(environ.get("OTEL_BSP_SCHEDULE_DELAY", ""), _DELAY_MS) / _MS,
    )


def _url(settings: TracingSettings, environ: Mapping[str, str], signal: Signal) -> str | None:
    if settings.endpoint:
        return _with_path(settings.endpoint, signal.path)
    if environ.get(f"OTEL_{signal.name}_EXPORTER", "otlp").strip() not in ("otlp", ""):
        return None
    for text, complete in (
        (environ.get(f"OTEL_EXPORTER_OTLP_{signal.name}_ENDPOINT"), True),
        (environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"), False),
    ):
        if text:
            try:
                return _parse_endpoint(text) if complete else _with_path(_parse_endpoint(text), signal.path)
            except ValueError:
                logger.warning("nothing is exported: this is no URL", extra={"endpoint": text})
    return None


def _with_path(endpoint: str, path: str) -> str:
    return endpoint.rstrip("/").removesuffix(TRACES_PATH) + path


def _headers(text: str) -> Mapping[str, str]:
    """Return ``key=value,key=value`` with values as in URLs; what is no such pair is left out."""
    pairs = (each.partition("=") for each in text.split(",") if "=" in each)
    return {unquote(name).strip().lower(): unquote(value).strip() for name, _, value in pairs}


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def _number(text: str, default: float) -> float:
    try:
        number = float(text) if text else default
    except ValueError:
        number = 0.0
    return number if number > 0 else default


def _warn_of_protocol(asked: str) -> None:
    if asked not in ("", "http/protobuf"):
        logger.warning(
            "what is traced is sent as OTLP over HTTP with protobuf, and in no other way",
            extra={"asked": asked},
        )
