"""What the sink sends is decoded with OpenTelemetry's own protobuf classes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from compose_agent import __version__
from log_forwarder.event import Event
from log_forwarder.fake.posts import FakePosts, Reply
from log_forwarder.sinks.contract import Answer, RequestSink, SinkUnavailable
from log_forwarder.sinks.otlp.encode import Encoder, resource_attributes
from log_forwarder.sinks.otlp.sink import OtlpSink
from log_forwarder.sinks.otlp.values import any_value
from tests.log_forwarder.making import container, make_batch
from tests.log_forwarder.sinks.courier import Delivery, dead_letters
from tests.log_forwarder.sinks.lines import CONTAINER, batch, event, numbered, send, send_once, sink
from tests.log_forwarder.sinks.trouble import verdict

SECOND = 1_767_323_045_000_000_000
NOW = 1_800_000_000_000_000_000


@pytest.fixture
def fake() -> Iterator[FakePosts]:
    with FakePosts() as started:
        yield started


def made(fake: FakePosts, folder: Path, options: str = "") -> RequestSink:
    return sink(f"otlp://127.0.0.1:{fake.port}{options}", folder)


def decoded(body: bytes) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    request.ParseFromString(body)
    return request


def record(each: Event) -> LogRecord:
    """Return what a receiver reads of one event."""
    encoder = Encoder("host-1", lambda: NOW)
    request = decoded(encoder.request(encoder.encode(batch([each]))))
    found: LogRecord = request.resource_logs[0].scope_logs[0].log_records[0]
    return found


def plain(value: AnyValue) -> object:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [plain(each) for each in value.array_value.values]
        case "kvlist_value":
            return {each.key: plain(each.value) for each in value.kvlist_value.values}
        case name:
            found: object = getattr(value, name)
            return found


def attributes(found: LogRecord) -> dict[str, object]:
    return {each.key: plain(each.value) for each in found.attributes}


def partial(rejected: int, message: str = "") -> bytes:
    answer = ExportLogsServiceResponse(
        partial_success=ExportLogsPartialSuccess(rejected_log_records=rejected, error_message=message)
    )
    return bytes(answer.SerializeToString())


def test_a_line_is_a_record() -> None:
    found = record(event(7, 'größe "7"\0'))
    assert found.body.string_value == 'größe "7"\0'
    assert (found.time_unix_nano, found.observed_time_unix_nano) == (SECOND + 7, NOW)
    assert attributes(found) == {"log.iostream": "stdout", "log.record.uid": "abababababab.1.0000000007"}
    assert (found.severity_number, found.severity_text, found.trace_id, found.span_id) == (0, "", b"", b"")


@pytest.mark.parametrize("length", [0, 1, 127, 128, 4095, 4096, 16_384, 3_000_000])
def test_lines_of_every_length_are_read_back(length: int) -> None:
    assert record(event(1, "x" * length or "")).body.string_value == ("x" * length or "line 1")


def test_a_container_is_a_resource() -> None:
    encoder = Encoder("host-1")
    request = decoded(encoder.request(encoder.encode(numbered(0, 2))))
    (logs,) = request.resource_logs
    assert {each.key: plain(each.value) for each in logs.resource.attributes} == {
        "service.name": "web",
        "service.namespace": "shop",
        "service.instance.id": CONTAINER.id,
        "container.id": CONTAINER.id,
        "container.name": "shop-web-1",
        "container.image.name": "web",
        "container.image.tags": ["1"],
        "container.label.com.docker.compose.project": "shop",
        "container.label.com.docker.compose.service": "web",
        "container.label.com.docker.compose.container-number": "1",
        "host.name": "host-1",
    }
    (scope,) = logs.scope_logs
    assert (scope.scope.name, scope.scope.version) == ("compose-agent", __version__)
    assert [each.body.string_value for each in scope.log_records] == ["line 0", "line 1"]


def test_a_container_outside_compose_is_named_by_its_own_name() -> None:
    assert resource_attributes(container(), "")["service.name"] == "shop-web-1"
    assert "service.namespace" not in resource_attributes(container(), "")


def test_lines_of_a_container_stand_together_in_order() -> None:
    encoder = Encoder("h")
    other = container("ef" * 32, "other")
    batches = [numbered(0, 2), make_batch("a", "b", of=other), numbered(2, 4), make_batch("c", of=other)]
    request = decoded(encoder.request([entry for each in batches for entry in encoder.encode(each)]))
    lines = [
        [each.body.string_value for each in logs.scope_logs[0].log_records] for logs in request.resource_logs
    ]
    assert lines == [["line 0", "line 1", "line 2", "line 3"], ["a", "b", "c"]]


def test_a_changed_container_is_described_anew() -> None:
    encoder = Encoder("h")
    for name in ("before", "after"):
        request = decoded(encoder.request(encoder.encode(make_batch("a", of=container(name=name)))))
        names = {each.key: plain(each.value) for each in request.resource_logs[0].resource.attributes}
        assert names["container.name"] == name


def test_what_was_found_in_a_line_goes_to_its_place() -> None:
    line = event(1)
    line.attrs = {"tag": "x"}
    line.fields = {
        "level": "Warning",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": "b7ad6b7169203331",
        "user": {"id": -7, "tags": ["a", None, 1.5, True, False]},
        "large": 2**70,
        "log.iostream": "mine",
    }
    found = record(line)
    assert (found.severity_number, found.severity_text) == (13, "Warning")
    assert found.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert found.span_id.hex() == "b7ad6b7169203331"
    assert attributes(found) == {
        "log.iostream": "stdout",
        "log.record.uid": line.id,
        "user": {"id": -7, "tags": ["a", None, 1.5, True, False]},
        "large": str(2**70),
        "fields.log.iostream": "mine",
        "docker.attrs.tag": "x",
    }


@pytest.mark.parametrize("value", ["", "0" * 32, "ab", "no hex", 7, None])
def test_a_trace_that_is_none_stays_an_attribute(value: object) -> None:
    line = event(1)
    line.fields = {"trace_id": value, "level": "loud"}
    found = record(line)
    assert (found.trace_id, found.severity_number, found.severity_text) == (b"", 0, "loud")
    assert attributes(found)["trace_id"] == value


def test_half_a_surrogate_pair_is_replaced() -> None:
    line = event(1, "a\ud800")
    line.fields = {"b\ud800": "c\udfff"}
    found = record(line)
    assert (found.body.string_value, attributes(found)["b?"]) == ("a?", "c?")


def test_a_value_without_end_becomes_text() -> None:
    endless: list[object] = []
    endless.append(endless)
    value = AnyValue()
    value.ParseFromString(any_value(endless))
    assert "[...]" in str(plain(value))


@pytest.mark.parametrize(
    ("options", "path"), [("", "/v1/logs"), ("/otlp/v1/logs?compress=none", "/otlp/v1/logs")]
)
def test_a_request_is_posted(fake: FakePosts, tmp_path: Path, options: str, path: str) -> None:
    assert send_once(made(fake, tmp_path, options), numbered(0, 3)) == Answer()
    (post,) = fake.posts
    assert (post.path, post.headers["content-type"]) == (path, "application/x-protobuf")
    assert post.headers.get("content-encoding") == (None if options else "gzip")
    assert len(decoded(post.body).resource_logs[0].scope_logs[0].log_records) == 3


@pytest.mark.parametrize(
    ("reply", "unseen", "pause"),
    [
        (Reply(429, headers={"Retry-After": "7"}), False, 7.0),
        (Reply(502), True, 0.0),
        (Reply(503, headers={"Retry-After": "2"}), True, 2.0),
        (Reply(504), True, 0.0),
        (Reply(500), True, 0.0),
        (Reply(404), False, 0.0),
        (None, True, 0.0),
    ],
)
def test_a_receiver_in_trouble_is_left_alone(
    fake: FakePosts, tmp_path: Path, reply: Reply | None, unseen: bool, pause: float
) -> None:
    assert verdict(made(fake, tmp_path), fake, reply) == (unseen, pause)


def test_a_record_that_spoils_its_request_is_found_and_the_others_are_stored(
    fake: FakePosts, tmp_path: Path
) -> None:
    status = b"\x08\x03\x12\x09not valid"
    fake.answer = lambda post: Reply(400, status) if b"line 5" in post.body else Reply()
    tally = Delivery(made(fake, tmp_path), tmp_path, [numbered(0, 9)]).finish()
    assert (tally.sent, tally.dead_lettered) == (8, 1)
    (letter,) = dead_letters(tmp_path)
    assert letter["event"]["log"] == "line 5"
    assert "400 not valid" in letter["reason"]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (partial(3, "too old"), "application/x-protobuf"),
        (
            b'{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"too old"}}',
            "application/json; charset=utf-8",
        ),
    ],
)
def test_records_that_were_all_rejected_are_dead_letters(
    fake: FakePosts, tmp_path: Path, body: bytes, content_type: str
) -> None:
    fake.replies = [Reply(200, body, {"Content-Type": content_type})]
    answer = send_once(made(fake, tmp_path), numbered(0, 3))
    assert answer.rejected == {0: "too old", 1: "too old", 2: "too old"}


def test_of_records_that_were_rejected_in_part_the_log_tells(
    fake: FakePosts, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours = made(fake, tmp_path)
    assert isinstance(ours, OtlpSink)
    fake.replies = [Reply(200, partial(2, "too old")), Reply(200, partial(0, "a warning"))]
    with closing(ours):
        assert send(ours, numbered(0, 3)) == Answer()
        assert send(ours, numbered(0, 3)) == Answer()
    assert ours.not_taken == 2
    assert [vars(each)["rejected"] for each in caplog.records] == [2]


@pytest.mark.parametrize("body", [b"\xff\xff", b"OK", b'{"partialSuccess":', b""])
def test_an_answer_that_cannot_be_read_is_a_success(fake: FakePosts, tmp_path: Path, body: bytes) -> None:
    for kind in ("application/x-protobuf", "application/json"):
        fake.replies = [Reply(200, body, {"Content-Type": kind})]
        assert send_once(made(fake, tmp_path), numbered(0, 1)) == Answer()


def test_headers_are_read_again_when_they_are_refused(fake: FakePosts, tmp_path: Path) -> None:
    headers = tmp_path / "headers"
    headers.write_text("X-Key: old")
    ours = made(fake, tmp_path, f"?header-file={headers}")
    fake.answer = lambda post: Reply(200 if post.headers["x-key"] == "new" else 401)
    for text in ("new", "not a header\n"):
        headers.write_text(f"X-Key: {text}" if text == "new" else text)
        with pytest.raises(SinkUnavailable, match="does not know who we are"):
            send(ours, numbered(0, 1))
        if text == "new":
            assert send(ours, numbered(0, 1)) == Answer()
            fake.answer = lambda _post: Reply(401)
    ours.close()
    assert [post.headers["x-key"] for post in fake.posts] == ["old", "new", "new"]
