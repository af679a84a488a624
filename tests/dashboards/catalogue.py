"""Every metric that there is, from the roles' own registries: what dashboards and rules may name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from prometheus_client import CollectorRegistry

from broker.metrics import BrokerMetrics
from compose_agent.role import ConfigState
from compose_agent.selfmetrics import rows
from exporter import measure
from exporter.collectors import built_in, checked
from exporter.collectors.container_info import COLLECTOR as CONTAINER_INFO
from exporter.families import CONTAINER_LABELS, HostCollector
from exporter.selfmetrics import SelfMetrics
from fleet.manager.alerts.metrics import AlertMetrics
from fleet.manager.commands.metrics import CommandMetrics
from fleet.manager.configs.metrics import RolloutMetrics
from fleet.manager.metrics import ManagerMetrics
from fleet.manager.model import Peer
from fleet.manager.registry import Registry
from log_forwarder.document import _Nothing
from log_forwarder.joined import LABEL as WORKER
from log_forwarder.metrics import ForwarderMetrics
from remediation.metricspage import Row, metric_rows
from tests.dashboards.promql import TARGET, Expr, labels_of, parse

ROOT = Path(__file__).resolve().parents[2]
# These name what the exporter writes as labels of an info metric.
_INFO_LABELS = ("image", "image_id", "compose_number", "restart_policy", "network_mode", "log_driver")


@dataclass(frozen=True, slots=True)
class Family:
    """A metric as Prometheus has it: its type, and its labels beside those of the target."""

    type: str
    labels: frozenset[str]


# Of Prometheus and Alertmanager; the check on real parts compares the types.
FOREIGN: Mapping[str, tuple[str, Sequence[str]]] = {
    "up": ("gauge", ()),
    "scrape_duration_seconds": ("gauge", ()),
    "scrape_samples_scraped": ("gauge", ()),
    "scrape_series_added": ("gauge", ()),
    "prometheus_config_last_reload_successful": ("gauge", ()),
    "prometheus_notifications_alertmanagers_discovered": ("gauge", ()),
    "prometheus_notifications_dropped_total": ("counter", ()),
    "prometheus_rule_evaluation_failures_total": ("counter", ("rule_group",)),
    "prometheus_tsdb_head_series": ("gauge", ()),
    "prometheus_tsdb_head_samples_appended_total": ("counter", ("type",)),
    "prometheus_tsdb_storage_blocks_bytes": ("gauge", ()),
    "prometheus_tsdb_compaction_chunk_size_bytes": ("histogram", ()),
    "prometheus_tsdb_compaction_chunk_samples": ("histogram", ()),
    "alertmanager_config_last_reload_successful": ("gauge", ()),
    "alertmanager_notifications_total": ("counter", ("integration",)),
    "alertmanager_notifications_failed_total": ("counter", ("integration", "reason")),
}
# Made by Prometheus from whatever rules there are: any label may be on it.
ALERTS = "ALERTS"


def own() -> dict[str, Family]:
    """Return the metrics of all roles, by name as it stands in the text format."""
    found = dict(_exporter())
    roles: Sequence[tuple[Iterable[Row], Sequence[str]]] = (
        (rows(_exporter_itself()), ()),
        (rows(ForwarderMetrics(ConfigState(), _Nothing()).registry), (WORKER,)),
        (metric_rows(), ()),
        (rows(_broker()), ()),
        (rows(_manager()), ()),
    )
    for families, more in roles:
        for name, kind, labels, _ in families:
            found[name.strip("`")] = Family(kind, frozenset((*filter(None, labels.split(", ")), *more)))
    return found


def everything() -> dict[str, Family]:
    """Return our own metrics, those of others, and what the recording rules make of both."""
    known = own() | {name: Family(kind, frozenset(labels)) for name, (kind, labels) in FOREIGN.items()}
    labels = ("alertname", "alertstate", "severity", "action", "policy", "reason", "sink", *CONTAINER_LABELS)
    known[ALERTS] = Family("gauge", frozenset(labels))
    for name, expr in recorded():
        known[name] = Family("gauge", labels_of(expr, labels_by_name(known)) - TARGET)
    return known


def recorded() -> Iterator[tuple[str, Expr]]:
    """Yield the recording rules, each after those that it is made from."""
    left = {
        rule["record"]: parse(rule["expr"])
        for path in sorted(ROOT.glob("alerts/rules/*.yml"))
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
        if "record" in rule
    }
    yield from left.items()


def labels_by_name(known: Mapping[str, Family]) -> dict[str, frozenset[str]]:
    """Return what ``labels_of`` wants to know."""
    return {name: family.labels for name, family in known.items()} | {
        f"{name}{suffix}": family.labels | ({"le"} if suffix == "_bucket" else set())
        for name, family in known.items()
        if family.type == "histogram"
        for suffix in ("_bucket", "_sum", "_count")
    }


def _exporter() -> Iterator[tuple[str, Family]]:
    for collector in checked([*built_in()]):
        of_container = () if isinstance(collector, HostCollector) else CONTAINER_LABELS
        more = _INFO_LABELS if collector is CONTAINER_INFO else ()
        for family in collector.families:
            yield family.name, Family(family.type, frozenset((*family.labels, *of_container, *more)))
    for family in measure.FAMILIES:
        yield family.name, Family(family.type, frozenset(family.labels))


def _exporter_itself() -> CollectorRegistry:
    metrics = SelfMetrics(ConfigState())
    metrics.observe_engine("ping", 0.0, "timeout")  # so that families with labels have a series to show them
    return metrics.registry


def _manager() -> CollectorRegistry:
    metrics = ManagerMetrics(ConfigState())
    nodes = Registry(lambda _transition: None)
    nodes.hear(b"u" * 16, Peer("http", ""), described=True)
    metrics.watch(nodes)
    CommandMetrics(metrics.registry).watch(lambda: 0)
    RolloutMetrics(metrics.registry).watch(list)
    AlertMetrics(metrics.registry)
    return metrics.registry


def _broker() -> CollectorRegistry:
    metrics = BrokerMetrics(ConfigState())
    metrics.answered("read", "/info", 200)
    metrics.refused("read", "path")
    metrics.performed("restart", "done")
    return metrics.registry
