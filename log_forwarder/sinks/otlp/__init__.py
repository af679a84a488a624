"""OpenTelemetry: ``otlp://host:4318``, logs over HTTP."""

from log_forwarder.sinks.otlp.sink import SINK

__all__ = ["SINK"]
