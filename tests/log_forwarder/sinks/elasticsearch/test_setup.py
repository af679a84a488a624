from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from compose_agent.address import Address
from compose_agent.errors import ConfigError
from log_forwarder.fake.bulk import FakeBulk
from log_forwarder.sinks import parse
from log_forwarder.sinks.contract import SinkUnavailable
from log_forwarder.sinks.elasticsearch.options import Target
from log_forwarder.sinks.elasticsearch.setup import (
    SetupFailed,
    install_data_view,
    install_template,
    set_up,
    template,
)
from log_forwarder.sinks.http import HttpClient
from tests.log_forwarder.sinks.elasticsearch.build import STREAM


@pytest.fixture
def fake() -> Iterator[FakeBulk]:
    with FakeBulk() as started:
        yield started


@pytest.fixture
def client(fake: FakeBulk) -> Iterator[HttpClient]:
    made = HttpClient([Address("127.0.0.1", fake.port)])
    yield made
    made.close()


def test_the_template_is_installed_in_words(fake: FakeBulk, client: HttpClient) -> None:
    name = f"compose-agent-logs-{STREAM}"
    assert install_template(client, Target(STREAM, "stream")) == [
        f"installed the index template {name} for the data stream {STREAM} on {client.server}"
    ]
    body = fake.objects[f"/_index_template/{name}"]
    assert body["index_patterns"] == [STREAM]
    assert body["data_stream"] == {}


def test_the_data_view_is_made_in_words(fake: FakeBulk, client: HttpClient) -> None:
    assert install_data_view(client, Target("docker-%Y", "dated")) == [
        f"created the data view docker-* in {client.server}"
    ]
    (view,) = fake.objects.values()
    assert view == {"attributes": {"title": "docker-*", "timeFieldName": "@timestamp"}}


@pytest.mark.parametrize(
    ("target", "pattern", "is_stream"),
    [
        (Target(STREAM, "stream"), STREAM, True),
        (Target("docker", "index"), "docker", False),
        (Target("docker-%Y.%m.%d", "dated"), "docker-*", False),
    ],
)
def test_a_template_fits_its_target(target: Target, pattern: str, is_stream: bool) -> None:
    body = template(target, precise_text=False)
    assert (body["index_patterns"], "data_stream" in body) == ([pattern], is_stream)


@pytest.mark.parametrize(
    ("distribution", "number", "text"),
    [
        ("opensearch", "2.11.1", "text"),
        ("opensearch", "2.12.0", "match_only_text"),
        (None, "7.13.4", "text"),
        (None, "8.15.0", "match_only_text"),
    ],
)
def test_messages_take_the_smallest_type_the_server_has(
    fake: FakeBulk, client: HttpClient, distribution: str | None, number: str, text: str
) -> None:
    fake.info = {"version": {"number": number} | ({"distribution": distribution} if distribution else {})}
    install_template(client, Target(STREAM, "stream"))
    (body,) = fake.objects.values()
    assert body["template"]["mappings"]["properties"]["message"] == {"type": text}


def test_what_is_no_such_server_is_told_so(fake: FakeBulk, client: HttpClient) -> None:
    fake.info = {"hello": "world"}
    with pytest.raises(SetupFailed, match="does not say what it is"):
        install_template(client, Target(STREAM, "stream"))


def test_a_refusal_is_passed_on(fake: FakeBulk, client: HttpClient) -> None:
    with pytest.raises(SetupFailed, match=r"refused the data view logs-docker-default \(404 .*no handler"):
        install_data_view(client, Target(STREAM, "stream"), base="/wrong")
    fake.credentials = "x"
    with pytest.raises(SinkUnavailable, match="401"):
        install_template(client, Target(STREAM, "stream"))


def test_a_kibana_has_credentials_of_its_own(fake: FakeBulk, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("encoded\n")
    with FakeBulk(credentials="ApiKey encoded") as kibana:
        address = f"http://127.0.0.1:{kibana.port}?api-key-file={tmp_path}/key"
        said = list(set_up(parse(f"elasticsearch://127.0.0.1:{fake.port}"), {"kibana": address}))
        assert [each.partition(" the ")[0] for each in said] == ["installed", "created"]
        assert list(kibana.objects) == [f"/api/saved_objects/index-pattern/compose-agent-logs-{STREAM}"]


def test_what_was_done_before_a_failure_is_said(fake: FakeBulk) -> None:
    address = f"http://127.0.0.1:{fake.port}/some%20base"
    doing = set_up(parse(f"elasticsearch://127.0.0.1:{fake.port}"), {"kibana": address})
    assert next(doing).startswith("installed the index template")
    with pytest.raises(SetupFailed, match=r"no handler for /some%20base/api/saved_objects"):
        next(doing)


@pytest.mark.parametrize(
    ("kibana", "wrong"),
    [
        ("kibana:5601", "--kibana: expected a URL such as https://kibana.example:5601, not 'kibana:5601'"),
        ("http://u:p@k", "--kibana: credentials do not stand in the word of a Kibana: name their files"),
        (
            "http://k?apikey-file=/x",
            "Kibana http://k: there is no option 'apikey-file', did you mean 'api-key-file'",
        ),
        ("http://k?ca=/x", "Kibana http://k: ca has a meaning with https only"),
        ("https://k?token-file=/x", "Kibana https://k: token-file: there is no file /x"),
    ],
)
def test_a_wrong_kibana_is_said_before_anything_is_done(fake: FakeBulk, kibana: str, wrong: str) -> None:
    with pytest.raises(ConfigError) as caught:
        next(set_up(parse(f"elasticsearch://127.0.0.1:{fake.port}"), {"kibana": kibana}))
    assert str(caught.value).startswith(wrong)
    assert not fake.requests
