"""Fluentd and Fluent Bit, by the forward protocol v1 with acknowledgements."""

from log_forwarder.sinks.fluentd.sink import SINK

__all__ = ["SINK"]
