"""What is pushed of a made-up world, decoded with OpenTelemetry's own protobufs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, NumberDataPoint, ResourceMetrics
from opentelemetry.semconv._incubating.metrics import container_metrics

from compose_agent.dockerd.model import Container
from exporter.collectors import built_in
from exporter.families import Family, HostCollector
from exporter.otlp import conventions
from exporter.otlp.conventions import CONVENTIONS, Kind, told
from exporter.otlp.encode import requests
from exporter.otlp.points import resources_of
from exporter.scrape import Scraper
from tests.exporter.build import NOTHING, NOW, SAMPLE, scraper, world
from tests.exporter.build import box as made_box

OURS = {"service.name": "compose-agent-exporter", "host.name": "h"}
AT = 1_763_835_600_000_000_000
LABELS = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
START = NOW - 60.5


def box(**changes: Any) -> Container:
    known = {"labels": LABELS, "image": "registry:5000/shop/web:1.2", "started_at": START, **changes}
    return made_box(**known)


def pushed(made: Scraper) -> list[ResourceMetrics]:
    scrape, rows = made.look(1.0)
    bodies = requests(resources_of(scrape, rows, OURS), AT)
    return [
        resource
        for body in bodies
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
    ]


def plain(value: AnyValue) -> Any:
    which = value.WhichOneof("value")
    found = getattr(value, str(which))
    return [plain(each) for each in found.values] if which == "array_value" else found


def as_dict(attributes: Any) -> Mapping[str, Any]:
    return {each.key: plain(each.value) for each in attributes}


def metrics(resource: ResourceMetrics) -> dict[str, Metric]:
    (scope,) = resource.scope_metrics
    assert scope.scope.name == "exporter"
    found = {each.name: each for each in scope.metrics}
    assert len(found) == len(scope.metrics), "a metric stands once in a resource"
    return found


def points(metric: Metric) -> list[NumberDataPoint]:
    return list(getattr(metric, str(metric.WhichOneof("data"))).data_points)


def of(resources: list[ResourceMetrics], name: str) -> ResourceMetrics:
    (found,) = (
        each for each in resources if as_dict(each.resource.attributes).get("container.name", "") == name
    )
    return found


def test_a_container_is_a_resource_by_the_conventions() -> None:
    resources = pushed(scraper(world(box())))
    assert as_dict(of(resources, "web").resource.attributes) == {
        "host.name": "h",
        "container.id": "c" * 64,
        "container.name": "web",
        "container.label.com.docker.compose.project": "shop",
        "container.label.com.docker.compose.service": "web",
        "container.runtime.name": "docker",
        "container.image.name": "registry:5000/shop/web",
        "container.image.tags": ["1.2"],
    }
    assert as_dict(of(resources, "").resource.attributes) == OURS


@pytest.mark.parametrize(
    ("image", "name", "tags"),
    [
        ("nginx", "nginx", None),
        ("nginx:1", "nginx", ["1"]),
        ("registry:5000/nginx", "registry:5000/nginx", None),
        ("nginx:1@sha256:" + "a" * 64, "nginx", ["1"]),
        ("sha256:" + "a" * 64, "sha256:" + "a" * 64, None),
        ("", "", None),
    ],
)
def test_names_and_tags_of_images(image: str, name: str, tags: list[str] | None) -> None:
    found = as_dict(of(pushed(scraper(world(box(image=image)))), "web").resource.attributes)
    assert (found["container.image.name"], found.get("container.image.tags")) == (name, tags)


def test_cpu_time_has_a_mode_and_counts_from_the_start() -> None:
    metric = metrics(of(pushed(scraper(world(box()))), "web"))["container.cpu.time"]
    assert (metric.unit, metric.sum.is_monotonic, metric.sum.aggregation_temporality) == ("s", True, 2)
    found = {as_dict(each.attributes)["cpu.mode"]: each for each in points(metric)}
    assert {mode: each.as_double for mode, each in found.items()} == {"user": 1.0, "system": 0.5}
    assert {each.time_unix_nano for each in found.values()} == {AT}
    assert {each.start_time_unix_nano for each in found.values()} == {int(START * 1e9)}


def test_cpu_time_without_modes_is_told_without_them() -> None:
    there = world(box())
    there.samples = {"c" * 64: NOTHING}
    (point,) = points(metrics(of(pushed(scraper(there)), "web"))["container.cpu.time"])
    assert (point.as_double, as_dict(point.attributes)) == (0.5, {})


def test_memory_and_uptime_and_what_is_left() -> None:
    limited = metrics(of(pushed(scraper(world(box(memory_limit_bytes=10_000)))), "web"))
    values = {name: points(limited[f"container.memory.{name}"])[0].as_int for name in ("usage", "rss")}
    assert values == {"usage": SAMPLE.memory_bytes, "rss": SAMPLE.rss_bytes}
    assert not limited["container.memory.usage"].sum.is_monotonic
    assert points(limited["container.memory.available"])[0].as_int == 10_000 - 3072
    assert points(limited["container.uptime"])[0].as_double == 60.5
    free = metrics(of(pushed(scraper(world(box()))), "web"))
    assert "container.memory.available" not in free


def test_directions_are_attributes() -> None:
    found = metrics(of(pushed(scraper(world(box()))), "web"))
    network = {
        (said["network.io.direction"], said["network.interface.name"]): each.as_int
        for each in points(found["container.network.io"])
        if (said := as_dict(each.attributes))
    }
    assert network == {("receive", "eth0"): 1, ("transmit", "eth0"): 5}
    disk = {
        (said["disk.io.direction"], said["system.device"]): each.as_int
        for each in points(found["container.disk.io"])
        if (said := as_dict(each.attributes))
    }
    assert disk == {("read", "vda"): 1, ("write", "vda"): 2}


def test_what_has_no_convention_keeps_its_name_and_labels() -> None:
    resources = pushed(
        scraper(world(box(), box(container_id="d" * 64, name="db", state="exited", pid=0, exit_code=3)))
    )
    web, database = (metrics(of(resources, name)) for name in ("web", "db"))
    states = {
        as_dict(each.attributes)["state"]: each.as_int for each in points(web["docker_container_state"])
    }
    assert states["running"] == 1
    assert sum(states.values()) == 1
    assert points(database["docker_container_exit_code"])[0].as_int == 3
    assert {"container.cpu.time", "container.uptime"}.isdisjoint(database)
    host = metrics(of(resources, ""))
    assert points(host["docker_up"])[0].as_int == 1
    assert host["docker_exporter_scrape_duration_seconds"].unit == "s"


def test_values_of_0_are_there() -> None:
    found = metrics(of(pushed(scraper(world(box(restart_count=0)))), "web"))
    (point,) = points(found["docker_container_restarts"])
    assert point.WhichOneof("value") == "as_int"


def test_names_and_units_are_those_of_the_conventions() -> None:
    known = {value for name, value in vars(container_metrics).items() if name.isupper()}
    derived = (conventions.UPTIME, conventions.MEMORY_AVAILABLE)
    assert {each.name for each in (*CONVENTIONS.values(), *derived)} <= known


def test_conventions_are_of_families_that_there_are() -> None:
    families = {family.name for each in built_in() for family in each.families}
    assert CONVENTIONS.keys() <= families
    assert set(conventions.NOT_TOLD) <= families


def test_whoever_adds_a_collector_needs_no_word_here() -> None:
    family = Family("mine_bytes_total", "counter", "Mine.", ("kind",))
    how = told(family)
    assert (how.name, how.unit, how.kind) == ("mine_bytes", "By", Kind.COUNTER)
    mine = HostCollector("mine", "mine", (family,), lambda _: lambda _scrape: ({"a": 1.5},))
    found = metrics(of(pushed(scraper(world(), [mine])), ""))
    (point,) = points(found["mine_bytes"])
    assert (point.as_double, as_dict(point.attributes)) == (1.5, {"kind": "a"})


def test_many_containers_are_sent_in_parts() -> None:
    boxes = [box(container_id=f"{number:064}", name=f"c{number}") for number in range(1001)]
    scrape, rows = scraper(world(*boxes)).look(1.0)
    bodies = list(requests(resources_of(scrape, rows, OURS), AT))
    counts = [len(ExportMetricsServiceRequest.FromString(each).resource_metrics) for each in bodies]
    assert counts == [500, 500, 2]
    assert max(map(len, bodies)) < 4 << 20
