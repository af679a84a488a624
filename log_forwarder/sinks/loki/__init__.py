"""Grafana Loki: ``loki://host:3100``."""

from log_forwarder.sinks.loki.sink import SINK

__all__ = ["SINK"]
