"""One tree from a real Alertmanager's webhook to dockerd's own span, through an OpenTelemetry Collector.

Everybody exports to a Collector that is not ours, which hands on to a judge that decodes OpenTelemetry's own
protobufs: Alertmanager 0.33, dockerd 28, the remediation role and the broker.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from bench.chain import ALERT, JOB, UNLIMITED, Remediation, policies
from bench.patients import real_ward, wait_until
from bench.remediation_plan import How, Patient
from compose_agent.tracing.fake.collector import FakeCollector
from compose_agent.tracing.registry import MEANINGS
from lab.agent import Agent
from lab.alertmanager import Alertmanager, alert, to_webhook
from lab.engine import PrivateEngine
from lab.otelcol import OtelCollector
from lab.prometheus import Prometheus
from remediation.journal import look
from remediation.model import Intent, State

# Its own Engine, of the line that can trace: the session's may be another one.
pytestmark = [pytest.mark.engine]

PATIENCE_SECONDS = 120.0
NAME = "traced-web"


@dataclass
class Traced:
    """What is there when an unhealthy container was restarted."""

    remediation: Remediation
    prometheus: Prometheus
    judge: FakeCollector
    intent: Intent
    broker_log: Path
    why: str
    why_json: Any


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    home = tmp_path_factory.mktemp("traced")
    with ExitStack() as stack:
        judge = stack.enter_context(FakeCollector())
        collector = stack.enter_context(OtelCollector(judge.url))
        exporting = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        }
        stack.enter_context(_environment(exporting))
        engine = stack.enter_context(PrivateEngine("28", share_network=True, environment=exporting))
        ward = stack.enter_context(real_ward(engine.host))
        broker = stack.enter_context(_broker(engine.host, home))
        broker.wait_ready()
        through = [*UNLIMITED, f"--actor={home}/act.sock"]
        remediation = stack.enter_context(Remediation(f"unix://{home}/read.sock", policies(), through))
        tracing = {
            "endpoint": collector.url.removeprefix("http://"),
            "client_type": "http",
            "insecure": True,
            "sampling_fraction": 1.0,
        }
        alertmanager = stack.enter_context(
            Alertmanager({**to_webhook(remediation.webhook), "tracing": tracing})
        )
        scrape = {
            "job_name": "remediation",
            "static_configs": [{"targets": [remediation.url.removeprefix("http://")]}],
        }
        prometheus = stack.enter_context(
            Prometheus(
                {
                    "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"},
                    "scrape_configs": [scrape],
                },
                flags=["--enable-feature=exemplar-storage"],
            )
        )
        ward.admit(Patient(NAME, True, False, 0.0, 0.0, ()))
        began = time.time()
        ward.fall_ill(NAME, How.UNHEALTHY)
        wait_until(lambda: ward.is_ill(NAME), "the Engine did not notice", PATIENCE_SECONDS)
        alertmanager.post_alerts([alert(ALERT, job=JOB, starts=began, name=NAME)])
        wait_until(lambda: _is_done(remediation), "it was not mended", PATIENCE_SECONDS)
        intent = remediation.intents(NAME)[0]
        wait_until(lambda: "verify" in _names(judge, intent), "the trace did not arrive", PATIENCE_SECONDS)
        # Of what it was asked before, dockerd may tell earlier.
        wait_until(lambda: bool(_restarts(judge, intent)), "dockerd told of no restart", PATIENCE_SECONDS)
        # A span is sent when it has ended, so those within it come before it.
        wait_until(lambda: not _orphans(judge, intent), "a span has no parent", PATIENCE_SECONDS)
        wait_until(lambda: bool(_senders(judge)), "Alertmanager told nothing", PATIENCE_SECONDS)
        link = "--tracing.backend-url=http://127.0.0.1:16686/trace/{trace_id}"
        said = remediation.say("why", NAME, link)
        assert said.returncode == 0, said.stderr
        as_json = json.loads(remediation.say("why", NAME, "--json").stdout)
        yield Traced(remediation, prometheus, judge, intent, broker.log, said.stdout, as_json)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


def _broker(host: str, home: Path) -> Agent:
    sockets = [f"--read-socket={home}/read.sock", f"--act-socket={home}/act.sock"]
    return Agent(
        host,
        [*sockets, f"--state-dir={home}/state", "--log.format=json"],
        command="broker",
        role="broker",
    )


def _is_done(remediation: Remediation) -> bool:
    return any(each.state is State.DONE for each in remediation.intents(NAME))


def _tree(judge: FakeCollector, intent: Intent) -> dict[bytes, Span]:
    return {each.span_id: each for each in judge.spans if each.trace_id.hex() == intent.id}


def _names(judge: FakeCollector, intent: Intent) -> set[str]:
    return {each.name for each in _tree(judge, intent).values()}


def _orphans(judge: FakeCollector, intent: Intent) -> list[str]:
    tree = _tree(judge, intent)
    return [each.name for each in tree.values() if each.parent_span_id and each.parent_span_id not in tree]


def _services(judge: FakeCollector) -> dict[bytes, str]:
    """Return by span id whose span it is."""
    return {
        span.span_id: next(
            each.value.string_value for each in resource.resource.attributes if each.key == "service.name"
        )
        for resource in judge.resources
        for scope in resource.scope_spans
        for span in scope.spans
    }


def _engine_spans(judge: FakeCollector, intent: Intent) -> list[Span]:
    services = _services(judge)
    return [each for each in _tree(judge, intent).values() if services[each.span_id] == "dockerd"]


def _restarts(judge: FakeCollector, intent: Intent) -> list[Span]:
    return [each for each in _engine_spans(judge, intent) if "restart" in each.name]


def _senders(judge: FakeCollector) -> list[bytes]:
    """Return the spans of Alertmanager that sent a webhook."""
    services = _services(judge)
    parents = {each.parent_span_id for each in judge.spans if each.name == "POST /webhook"}
    return [span for span in parents if services.get(span) == "alertmanager"]


def test_the_trace_of_an_action_is_one_tree_down_to_dockerd(traced: Traced) -> None:
    tree = _tree(traced.judge, traced.intent)
    (root,) = [each for each in tree.values() if not each.parent_span_id]
    assert root.name == "remediate chain"
    assert _orphans(traced.judge, traced.intent) == []
    restarts = _restarts(traced.judge, traced.intent)
    services = _services(traced.judge)
    for each in restarts:
        path = []
        while each.parent_span_id:
            each = tree[each.parent_span_id]  # noqa: PLW2901 - upwards
            path.append((services[each.span_id], each.name))
        assert path == [
            ("compose-agent-broker", "engine container_restart"),
            ("compose-agent-broker", "POST /v1/verbs"),
            ("compose-agent-remediation", "execute restart"),
            ("compose-agent-remediation", "remediate chain"),
        ]
    assert len(restarts) == 1


def test_its_root_links_to_the_webhook_whose_parent_is_alertmanagers(traced: Traced) -> None:
    (root,) = [each for each in _tree(traced.judge, traced.intent).values() if not each.parent_span_id]
    (link,) = root.links
    (webhook,) = [each for each in traced.judge.spans if each.span_id == link.span_id]
    assert (webhook.name, webhook.trace_id) == ("POST /webhook", link.trace_id)
    (sender,) = [each for each in traced.judge.spans if each.span_id == webhook.parent_span_id]
    assert _services(traced.judge)[sender.span_id] == "alertmanager"


def test_every_span_names_the_container(traced: Traced) -> None:
    for span in _tree(traced.judge, traced.intent).values():
        if span.name.startswith(("remediate", "decide", "verify", "execute", "commit")):
            said = {each.key: each.value.string_value for each in span.attributes}
            assert said.get("container.name") == NAME or len(said["container.id"]) == 64, span.name


def test_audit_log_and_why_have_the_same_trace(traced: Traced) -> None:
    trace = traced.intent.id
    with look(traced.remediation.state_dir) as view:
        entries = view.entries_about([trace], 100)
    assert {each.kind: each.fields["trace_id"] for each in entries} == dict.fromkeys(
        ("decided", "acted", "verified"), trace
    )
    tree = _tree(traced.judge, traced.intent)
    assert all(bytes.fromhex(each.fields["span_id"]) in tree for each in entries)
    assert f"trace {trace}  http://127.0.0.1:16686/trace/{trace}" in traced.why
    for name in ("remediate chain", "├─ decide", "├─ execute restart", "└─ verify"):
        assert name in traced.why
    (drawn,) = [each["traces"][trace] for each in traced.why_json if trace in each["traces"]]
    assert {each["span_id"] for each in drawn} <= {each.hex() for each in tree}


def test_the_lines_of_the_broker_s_log_are_in_the_trace(traced: Traced) -> None:
    lines = [json.loads(line) for line in traced.broker_log.read_text().splitlines() if line.startswith("{")]
    said = {each["msg"]: each for each in lines if each.get("trace_id") == traced.intent.id}
    assert {"asked for", "ended"} <= said.keys()
    span = _tree(traced.judge, traced.intent)[bytes.fromhex(said["ended"]["span_id"])]
    assert span.name == "POST /v1/verbs"


def test_the_exemplar_that_prometheus_keeps_is_the_root(traced: Traced) -> None:
    (root,) = [each for each in _tree(traced.judge, traced.intent).values() if not each.parent_span_id]

    def kept(name: str) -> list[Mapping[str, str]]:
        now = time.time()
        found = traced.prometheus.api("query_exemplars", query=name, start=str(now - 600), end=str(now + 60))
        return [each["labels"] for series in found for each in series["exemplars"]]

    for name in ("action_duration", "alert_to_action", "receipt_to_action"):
        metric = f"remediation_{name}_seconds_bucket"
        none = f"{metric} has no exemplar"
        wait_until(lambda metric=metric: bool(kept(metric)), none, PATIENCE_SECONDS)  # type: ignore[misc]
        assert {"trace_id": traced.intent.id, "span_id": root.span_id.hex()} in kept(metric)


def test_every_attribute_is_in_the_registry(traced: Traced) -> None:
    services = _services(traced.judge)
    ours = [each for each in traced.judge.spans if services[each.span_id].startswith("compose-agent-")]
    used = {attribute.key for span in ours for attribute in span.attributes}
    assert used - MEANINGS.keys() == set()
    assert len(used) > 20
