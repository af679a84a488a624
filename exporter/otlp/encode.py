"""OTLP: resources with metrics to requests.

Names and numbers are those of opentelemetry/proto/metrics/v1/metrics.proto and its neighbours.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice

from compose_agent import __version__, protobuf
from compose_agent.otlp import attributes
from exporter.families import Number
from exporter.otlp.conventions import Kind
from exporter.otlp.points import Metric, Point, Resource

# ExportMetricsServiceRequest, ResourceMetrics, ScopeMetrics
_RESOURCE_METRICS = 1
_RESOURCE, _SCOPE_METRICS = 1, 2
_SCOPE, _METRICS = 1, 2
_RESOURCE_ATTRIBUTES = 1
_SCOPE_NAME, _SCOPE_VERSION = 1, 2
# Metric, Gauge, Sum
_NAME, _DESCRIPTION, _UNIT, _GAUGE, _SUM = 1, 2, 3, 5, 7
_POINTS = 1
_TEMPORALITY, _MONOTONIC = 2, 3
_CUMULATIVE = 2
# NumberDataPoint
_SINCE, _AT, _DOUBLE, _INT, _POINT_ATTRIBUTES = 2, 3, 4, 6, 7

# A container is some 3 KB, and a receiver takes 4 MiB at the least.
_MOST_RESOURCES = 500


def requests(resources: Iterable[Resource], at: int) -> Iterator[bytes]:
    """Yield each ``ExportMetricsServiceRequest`` of what was found at Unix nanoseconds."""
    left = iter(resources)
    while some := [*islice(left, _MOST_RESOURCES)]:
        yield b"".join(protobuf.data(_RESOURCE_METRICS, _resource(each, at)) for each in some)


def _resource(resource: Resource, at: int) -> bytes:
    whose = protobuf.data(_RESOURCE, attributes(_RESOURCE_ATTRIBUTES, resource.attributes))
    metrics = b"".join(protobuf.data(_METRICS, _metric(each, at)) for each in resource.metrics)
    return whose + protobuf.data(_SCOPE_METRICS, _scope() + metrics)


@lru_cache(maxsize=1)
def _scope() -> bytes:
    said = protobuf.text(_SCOPE_NAME, "exporter") + protobuf.text(_SCOPE_VERSION, __version__)
    return protobuf.data(_SCOPE, said)


def _metric(metric: Metric, at: int) -> bytes:
    points = b"".join(protobuf.data(_POINTS, _point(each, at)) for each in metric.points)
    head = _head(metric.told.name, metric.description, metric.told.unit)
    if metric.told.kind is Kind.GAUGE:
        return head + protobuf.data(_GAUGE, points)
    monotonic = protobuf.number(_MONOTONIC, metric.told.kind is Kind.COUNTER)
    return head + protobuf.data(_SUM, points + protobuf.number(_TEMPORALITY, _CUMULATIVE) + monotonic)


@lru_cache(maxsize=256)
def _head(name: str, description: str, unit: str) -> bytes:
    return protobuf.text(_NAME, name) + protobuf.text(_DESCRIPTION, description) + protobuf.text(_UNIT, unit)


def _point(point: Point, at: int) -> bytes:
    times = protobuf.fixed64(_SINCE, point.since) + protobuf.fixed64(_AT, at)
    return times + _value(point.value) + attributes(_POINT_ATTRIBUTES, point.attributes)


def _value(value: Number) -> bytes:
    """Return a value, also one of 0: it is one of a choice, which an absent field would leave open."""
    if isinstance(value, int):
        return protobuf.tag(_INT, protobuf.FIXED64) + struct.pack("<q", value)
    return protobuf.tag(_DOUBLE, protobuf.FIXED64) + struct.pack("<d", value)
