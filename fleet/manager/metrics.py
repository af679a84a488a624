"""What the manager tells of itself and of the fleet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from wsgiref.types import WSGIEnvironment

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from compose_agent.role import ConfigState
from compose_agent.selfmetrics import add_program, exposition, gauge, new_registry
from compose_agent.web.metricsview import metrics_view
from compose_agent.web.response import Response
from fleet.manager.model import ALIVE, Node, State, Transition
from fleet.manager.principal import principal_of
from fleet.manager.registry import Registry
from fleet.manager.sight import Sight

_LATE_BUCKETS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_BUCKETS = (0.0001, 0.0005, 0.001, 0.005, 0.02, 0.1, 0.5)


class ManagerMetrics:
    """Counters of the manager's work; ``watch`` adds the nodes."""

    def __init__(self, state: ConfigState) -> None:
        self._registry = registry = new_registry()
        self.messages = Counter(
            "fleet_messages_total", "Messages of agents that were answered.", ["transport"], registry=registry
        )
        self._refused = Counter(
            "fleet_messages_refused_total",
            "Messages that were no valid ones, by reason.",
            ["reason"],
            registry=registry,
        )
        self.turned_away = Counter(
            "fleet_connections_refused_total",
            "Connections of agents that were not let in, by reason.",
            ["reason"],
            registry=registry,
        )
        self._gaps = Counter(
            "fleet_sequence_gaps_total", "Times that messages of an agent were missing.", registry=registry
        )
        self._full = Counter(
            "fleet_full_state_requests_total",
            "Times that an agent was asked for its whole state.",
            registry=registry,
        )
        self._transitions = Counter(
            "fleet_node_transitions_total",
            "Changes of nodes' states, by the state after.",
            ["state"],
            registry=registry,
        )
        self._errors = Counter(
            "fleet_state_write_errors_total", "Times that the state could not be written.", registry=registry
        )
        self.seconds = Histogram(
            "fleet_message_seconds",
            "Time from a message to its answer.",
            buckets=_BUCKETS,
            registry=registry,
        )
        self.loop_late = Histogram(
            "fleet_loop_late_seconds",
            "By how much the loop that serves all agents was late, looked at twice a second.",
            buckets=_LATE_BUCKETS,
            registry=registry,
        )
        for value in State:
            self._transitions.labels(value.value)
        for transport in ("websocket", "http"):
            self.messages.labels(transport)
        for reason in ("malformed", "oversize", "uid", "full", "not-allowed"):
            self._refused.labels(reason)
        for reason in ("token", "rate"):
            self.turned_away.labels(reason)
        add_program(registry, "fleet_manager", "manager", state)

    @property
    def registry(self) -> CollectorRegistry:
        """Where the manager's parts register metrics of their own."""
        return self._registry

    def watch(self, nodes: Registry) -> None:
        """Tell of these nodes at each scrape."""
        gauge(
            self._registry, "fleet_connections", "Agents that are connected now.", lambda: _connected(nodes)
        )
        self._registry.register(_Nodes(nodes))

    def refused(self, reason: str) -> None:
        """Count a message that was none."""
        self._refused.labels(reason).inc()

    def gap(self) -> None:
        """Count messages that are missing."""
        self._gaps.inc()

    def full_state(self) -> None:
        """Count a question for a whole state."""
        self._full.inc()

    def transition(self, transition: Transition) -> None:
        """Count a change of a state."""
        self._transitions.labels(transition.after.value).inc()

    def write_failed(self) -> None:
        """Count a transaction that failed."""
        self._errors.inc()

    def text(self, *, openmetrics: bool) -> bytes:
        """Return the metrics in one of the two formats."""
        return exposition(self._registry, openmetrics=openmetrics)

    def view(self, nodes: Registry, environ: WSGIEnvironment) -> Response:
        """Answer a scrape: who sees some environments only gets their nodes, and nothing of the manager."""
        principal = principal_of(environ)
        if principal.environments is None:
            return metrics_view(self.text)(environ)
        scoped = new_registry()
        scoped.register(_Nodes(Sight(nodes, principal)))
        return metrics_view(partial(exposition, scoped))(environ)


class _Nodes:
    """Gauges of the nodes, made at each scrape."""

    def __init__(self, nodes: Registry | Sight) -> None:
        self._nodes = nodes

    def collect(self) -> Iterator[Metric]:
        states = GaugeMetricFamily("fleet_nodes", "Nodes, by state.", labels=["state"])
        for state, count in self._nodes.count().items():
            states.add_metric([state.value], count)
        yield states
        labels = ["node_id", "host", "environment"]
        up = GaugeMetricFamily(
            "fleet_node_up", "Whether the agent of a node is there (0 or 1).", labels=labels
        )
        heard = GaugeMetricFamily(
            "fleet_node_last_heard_timestamp_seconds", "When a node was last heard, Unix time.", labels=labels
        )
        for key, (alive, at) in self._nodes.read(_ups).items():
            up.add_metric(key, alive)
            heard.add_metric(key, at)
        yield up
        yield heard
        # One series for each node, not one for each of its states: with thousands of nodes that is much less
        # to read, and an alert about a state resolves when its series ends.
        stands = GaugeMetricFamily(
            "fleet_node_state", "1 for the state in which a node is.", labels=[*labels, "state"]
        )
        for stand in self._nodes.read(_states):
            stands.add_metric(stand, 1)
        for name in self._nodes.never_seen():
            stands.add_metric((name, "", "", State.NEVER_SEEN.value), 1)
        yield stands


def _ups(nodes: Iterable[Node]) -> dict[tuple[str, str, str], tuple[bool, float]]:
    """Return by labels whether a node is alive; of several with the same labels, whether one is."""
    found: dict[tuple[str, str, str], tuple[bool, float]] = {}
    for node in nodes:
        if node.disabled:
            continue
        key = _labels(node)
        alive, at = found.get(key, (False, 0.0))
        found[key] = (alive or node.state in ALIVE, max(at, node.last_heard))
    return found


def _states(nodes: Iterable[Node]) -> list[tuple[str, str, str, str]]:
    """Return labels and state of each node, once where several have the same."""
    return [*dict.fromkeys((*_labels(node), node.state.value) for node in nodes)]


def _labels(node: Node) -> tuple[str, str, str]:
    told = node.description
    return node.node_id, told.host if told else "", told.environment if told else ""


def _connected(nodes: Registry) -> int:
    return nodes.read(lambda each: sum(node.peer is not None for node in each))
