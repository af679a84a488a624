"""Logstash, and whoever else takes what Beats send: ``logstash://host:5044``."""

from log_forwarder.sinks.logstash.sink import SINK

__all__ = ["SINK"]
