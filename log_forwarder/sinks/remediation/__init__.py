"""The remediation role of this host: ``remediation://``."""

from log_forwarder.sinks.remediation.sink import SINK

__all__ = ["SINK"]
