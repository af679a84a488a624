"""The whole pipeline in this process, over a fake collector that decodes with OpenTelemetry's protobufs."""

from __future__ import annotations

import contextvars
import os
import ssl
import threading
import time
from pathlib import Path

import pytest
import trustme
from opentelemetry.context import Context

from compose_agent.tracing import context, pipeline, segments, tracer
from compose_agent.tracing.exporter import REFUSED, REJECTED
from compose_agent.tracing.fake.collector import Behaviour, FakeCollector
from compose_agent.tracing.ledger import Account
from compose_agent.tracing.reading import account_of, traces
from compose_agent.web.propagation import outgoing_headers
from tests.tracing.conftest import Start, settings

TRACER = tracer("tests")


def work(name: str, count: int = 1) -> None:
    for _ in range(count):
        with TRACER.start_as_current_span(name):
            pass


def until(true: object, seconds: float = 20.0) -> None:
    assert callable(true)
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


def test_spans_arrive_with_everything_they_have(start: Start, collector: FakeCollector) -> None:
    start(endpoint=collector.url)
    with TRACER.start_as_current_span("outer", attributes={"a": 1, "b": ["x", "y"], "c": 1.5}) as outer:
        outer.add_event("happened", {"d": True})
        work("inner")
    inner, outer_sent = collector.wait_for(2)
    assert (inner.name, outer_sent.name) == ("inner", "outer")
    assert inner.parent_span_id == outer_sent.span_id
    assert inner.trace_id == outer_sent.trace_id
    assert [each.key for each in outer_sent.attributes] == ["a", "b", "c"]
    assert [each.name for each in outer_sent.events] == ["happened"]
    (scope,) = {each.scope.name for resource in collector.resources for each in resource.scope_spans}
    assert scope == "tests"
    resource = {each.key: each.value.string_value for each in collector.resources[0].resource.attributes}
    assert resource["service.name"] == "compose-agent-remediation"
    assert {"service.version", "service.instance.id", "host.name", "telemetry.sdk.name"} <= resource.keys()


def test_variables_of_opentelemetry_are_honoured(start: Start, collector: FakeCollector) -> None:
    start(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_HEADERS": "x-team=ops%20team,authorization=Bearer%20s3cret",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        }
    )
    work("one")
    collector.wait_for(1)
    (headers,) = collector.headers
    assert (headers["x-team"], headers["authorization"]) == ("ops team", "Bearer s3cret")
    assert "content-encoding" not in headers


def test_a_collector_that_asks_for_patience_gets_it(start: Start, collector: FakeCollector) -> None:
    collector.behave(Behaviour(status=429, retry_after="2"))
    start(endpoint=collector.url)
    began = time.monotonic()
    work("one")
    until(lambda: collector.requests >= 1)
    collector.behave(Behaviour())
    collector.wait_for(1)
    assert time.monotonic() - began >= 2.0
    assert collector.requests == 2


@pytest.mark.parametrize("status", [401, 404, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(start: Start, collector: FakeCollector, status: int) -> None:
    collector.behave(Behaviour(status=status))
    made = start(endpoint=collector.url)
    work("one")
    until(lambda: collector.requests >= 1)
    assert made.account() == Account(created=1, spooled=1)
    collector.behave(Behaviour())
    collector.wait_for(1)
    until(lambda: made.account() == Account(created=1, exported=1))


def test_what_spoils_a_request_is_found_and_only_that_is_given_up(
    start: Start, collector: FakeCollector
) -> None:
    collector.behave(Behaviour(status=503))
    made = start(endpoint=collector.url)
    work("good", 20)
    work("poison")
    work("good", 20)
    collector.behave(Behaviour(refuse="poison"))
    until(lambda: made.account() == Account(created=41, exported=40, dropped={REFUSED: 1}))
    assert {each.name for each in collector.spans} == {"good"}
    assert collector.repeated() == 0


def test_a_partial_success_is_counted(start: Start, collector: FakeCollector) -> None:
    collector.behave(Behaviour(status=503))
    # Later than all of them have ended: of those that come apart, each part would lose two.
    made = start({"OTEL_BSP_SCHEDULE_DELAY": "2000"}, endpoint=collector.url)
    work("some", 5)
    collector.behave(Behaviour(rejected=2))
    until(lambda: made.account() == Account(created=5, exported=3, dropped={REJECTED: 2}))


def test_a_hang_up_after_the_spans_were_taken_costs_a_repetition_and_no_span(
    start: Start, collector: FakeCollector
) -> None:
    collector.behave(Behaviour(hang_up=True))
    made = start(endpoint=collector.url)
    work("one")
    until(lambda: collector.requests >= 1)
    collector.behave(Behaviour())
    until(lambda: made.account() == Account(created=1, exported=1))
    assert len(collector.spans) - collector.repeated() == 1


def test_a_dead_collector_holds_up_no_end_and_the_next_start_exports(
    start: Start, collector: FakeCollector, tmp_path: Path
) -> None:
    for silent in (Behaviour(status=503), Behaviour(seconds=30.0)):
        collector.behave(silent)
        made = start(endpoint=collector.url)
        work("left", 100)
        until(lambda: collector.requests >= 1)
        began = time.monotonic()
        made.stop(1.0)
        assert time.monotonic() - began < 10.0  # one of them would take half a minute
    assert account_of(tmp_path / "traces" / "remediation") == Account(created=200, spooled=200)
    collector.behave(Behaviour())
    made = start(endpoint=collector.url)
    until(lambda: made.account() == Account(created=200, exported=200))


def test_the_end_exports_what_was_only_just_over(start: Start, collector: FakeCollector) -> None:
    made = start({"OTEL_BSP_SCHEDULE_DELAY": "60000"}, endpoint=collector.url)
    work("last", 1000)
    made.stop(60.0)  # it ends when it is done
    assert len(collector.spans) == 1000


def test_without_a_collector_spans_stay_here(start: Start, tmp_path: Path) -> None:
    made = start()
    work("here", 3)
    assert made.account() == Account(created=3, spooled=3)
    made.stop(1.0)
    assert account_of(tmp_path / "traces" / "remediation") == Account(created=3, spooled=3)


@pytest.mark.parametrize(
    ("process", "environ", "options", "traces"),
    [
        ("remediation", {}, {}, True),
        ("broker", {}, {}, True),
        ("exporter", {}, {}, False),
        ("logs-0", {}, {}, False),
        ("exporter", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, {}, True),
        ("exporter", {}, {"endpoint": "http://127.0.0.1:1"}, True),
        ("exporter", {"OTEL_EXPORTER_OTLP_ENDPOINT": "not a url"}, {}, False),
        ("remediation", {"OTEL_SDK_DISABLED": "true"}, {}, False),
        ("remediation", {}, {"enabled": False}, False),
        (
            "exporter",
            {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
            {},
            False,
        ),
    ],
)
def test_who_traces(
    process: str, environ: dict[str, str], options: dict[str, object], tmp_path: Path, *, traces: bool
) -> None:
    made = pipeline.start(process, settings(**options), tmp_path, environ)
    assert (made is not None) is traces
    if made:
        made.stop(0.5)
    assert pipeline.current() is None


def test_nothing_is_recorded_before_and_after(start: Start, collector: FakeCollector) -> None:
    work("before")
    made = start(endpoint=collector.url)
    work("between")
    made.stop(60.0)
    work("after")
    assert [each.name for each in collector.spans] == ["between"]


def test_a_forked_process_doubles_nothing_and_leaves_the_spool_alone(
    start: Start, collector: FakeCollector, tmp_path: Path
) -> None:
    made = start(endpoint=collector.url)
    with TRACER.start_as_current_span("parent"):
        child = os.fork()
        if not child:
            work("child")
            os._exit(0 if pipeline.current() is None else 1)
        assert os.waitpid(child, 0)[1] == 0
        work("below")
    assert [each.name for each in collector.wait_for(2)] == ["below", "parent"]
    until(lambda: made.account() == Account(created=2, exported=2))
    assert collector.repeated() == 0
    made.stop(1.0)
    assert account_of(tmp_path / "traces" / "remediation") == Account(created=2, exported=2)


def test_threads_end_their_spans_at_the_same_time(start: Start, collector: FakeCollector) -> None:
    made = start(endpoint=collector.url)
    with TRACER.start_as_current_span("root"):
        inherited = contextvars.copy_context()
        threads = [
            threading.Thread(target=inherited.copy().run, args=(work, f"thread {number}", 50))
            for number in range(8)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    until(lambda: made.account() == Account(created=401, exported=401))
    (root,) = [each for each in collector.spans if each.name == "root"]
    assert {each.parent_span_id for each in collector.spans} == {b"", root.span_id}
    assert collector.repeated() == 0


def test_who_is_told_of_a_span_will_find_it_after_a_kill(start: Start, tmp_path: Path) -> None:
    made = start()
    with TRACER.start_as_current_span("outer"), TRACER.start_as_current_span("inner") as inner:
        told = outgoing_headers()["traceparent"]
        made._spool.abandon()  # what a kill leaves
    assert told == context.traceparent_of(inner)
    kept = {each.span.name: each.span for each in traces(tmp_path, [bytes.fromhex(told[3:35])]).popitem()[1]}
    assert {name: span.end for name, span in kept.items()} == {"outer": 0, "inner": 0}
    assert kept["inner"].span.hex() == told[36:52]
    again = start()
    assert again.account() == Account(created=2, spooled=2)


def certificates() -> tuple[ssl.SSLContext, trustme.CA]:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    return server, authority


def test_tls_with_the_right_authority(start: Start, tmp_path: Path) -> None:
    server, authority = certificates()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with FakeCollector(tls=server) as collector:
        start(endpoint=collector.url, ca_file=tmp_path / "ca.pem")
        work("one")
        assert [each.name for each in collector.wait_for(1)] == ["one"]


def test_tls_that_does_not_fit_keeps_spans_and_says_why(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    server, _ = certificates()
    with FakeCollector(tls=server) as collector:
        for url in (collector.url, collector.url.replace("https", "http")):
            made = start(endpoint=url)
            work("one")
            until(lambda: caplog.records)
            made.stop(0.5)
            assert not collector.spans
            assert [each.message for each in caplog.records] == ["spans cannot be exported; they are kept"]
            assert collector.url.partition("//")[2] in str(caplog.records[0].__dict__["error"])
            caplog.clear()


def test_headers_come_from_a_file_and_are_no_words_of_a_log(
    start: Start, collector: FakeCollector, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "headers").write_text("authorization: Bearer s3cret\n\nx-scope: a\n")
    collector.behave(Behaviour(status=401))
    start(endpoint=collector.url, headers_file=tmp_path / "headers")
    work("one")
    until(lambda: collector.requests >= 1)
    assert collector.headers[0]["authorization"] == "Bearer s3cret"
    assert "s3cret" not in caplog.text


def test_what_stands_in_an_action_is_recorded_whatever_the_sampler_says(
    start: Start, collector: FakeCollector
) -> None:
    start({"OTEL_TRACES_SAMPLER": "always_off"}, endpoint=collector.url, sample_ratio=None)
    action = TRACER.start_span("action", context.always(Context()))
    with context.Active(action):
        work("below")
    work("nothing to do with it")
    assert {each.name for each in collector.wait_for(2)} == {"below", "action"}
    assert collector.repeated() == 0


def test_many_spans_of_a_trace_are_few_writes(start: Start, tmp_path: Path) -> None:
    start()
    with TRACER.start_as_current_span("outer"):
        work("inner", 5)
    folder = tmp_path / "traces" / "remediation"
    (number,) = segments.numbers(folder)
    segment = segments.opened(folder, number)
    assert segment is not None
    groups = [group for group, _ in segments.read(segment, segment.first)]
    assert [[each.name for each in group.spans] for group in groups] == [["inner"] * 5 + ["outer"]]
    assert not groups[0].begun
