"""Apache Kafka and what speaks its protocol: ``kafka://a:9092,b:9092/docker-logs``."""

from log_forwarder.sinks.kafka.sink import SINK

__all__ = ["SINK"]
