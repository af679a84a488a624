from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision

from compose_agent.tracing import context
from compose_agent.tracing.context import parse
from compose_agent.tracing.resource import resource_of
from compose_agent.tracing.sampling import sampler
from compose_agent.tracing.settings import Collector, collector
from tests.tracing.conftest import settings

BASE = "http://127.0.0.1:4318"
FULL = f"{BASE}/v1/traces"
TRACE, SPAN = "1" * 32, "2" * 16


@pytest.mark.parametrize(
    ("options", "environ", "url"),
    [
        ({}, {}, None),
        ({"endpoint": BASE}, {}, FULL),
        ({"endpoint": FULL}, {}, FULL),
        ({"endpoint": f"{BASE}/otlp/"}, {}, f"{BASE}/otlp/v1/traces"),
        ({}, {"OTEL_EXPORTER_OTLP_ENDPOINT": BASE + "/"}, FULL),
        ({}, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{BASE}/custom"}, f"{BASE}/custom"),
        ({"endpoint": BASE}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://other:1"}, FULL),
        ({}, {"OTEL_TRACES_EXPORTER": "console", "OTEL_EXPORTER_OTLP_ENDPOINT": BASE}, None),
        ({}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "127.0.0.1:4317"}, None),
    ],
)
def test_where_spans_go(options: dict[str, object], environ: dict[str, str], url: str | None) -> None:
    found = collector(settings(**options), environ)
    assert (found.url if found else None) == url


def test_how_spans_go() -> None:
    found = collector(
        settings(endpoint=BASE),
        {
            "OTEL_EXPORTER_OTLP_TIMEOUT": "2500",
            "OTEL_EXPORTER_OTLP_CERTIFICATE": "/ca.pem",
            "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE": "/cert.pem",
            "OTEL_EXPORTER_OTLP_CLIENT_KEY": "/key.pem",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "nonsense",
            "OTEL_EXPORTER_OTLP_HEADERS": "a=1,broken,B%2Dc=%C3%A4",
        },
    )
    assert found == Collector(
        FULL,
        {"a": "1", "b-c": "ä"},
        timeout=2.5,
        ca=Path("/ca.pem"),
        certificate=Path("/cert.pem"),
        key=Path("/key.pem"),
        delay=0.2,
    )
    assert "ä" not in repr(found)  # headers may be secret


def decided(environ: dict[str, str], where: Context, **options: object) -> bool:
    result = sampler(settings(**options), environ).should_sample(where, int(TRACE, 16), "x")
    return result.decision is Decision.RECORD_AND_SAMPLE


ROOT = Context()
UNSAMPLED = context.below(parse(f"00-{TRACE}-{SPAN}-00"))
SAMPLED = context.below(parse(f"00-{TRACE}-{SPAN}-01"))


@pytest.mark.parametrize(
    ("environ", "root", "unsampled", "sampled"),
    [
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_on"}, True, False, True),
        ({"OTEL_TRACES_SAMPLER": "always_on"}, True, True, True),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, False, False, False),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, False, False, True),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}, False, False, False),
        (
            {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"},
            False,
            False,
            True,
        ),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "much"}, True, True, True),
        ({"OTEL_TRACES_SAMPLER": "jaeger_remote"}, True, True, True),
    ],
)
def test_what_is_kept(environ: dict[str, str], *, root: bool, unsampled: bool, sampled: bool) -> None:
    assert [decided(environ, where) for where in (ROOT, UNSAMPLED, SAMPLED)] == [root, unsampled, sampled]
    assert all(decided(environ, context.always(where)) for where in (ROOT, UNSAMPLED, SAMPLED))


def test_our_own_ratio_comes_first() -> None:
    assert not decided({"OTEL_TRACES_SAMPLER": "always_on"}, ROOT, sample_ratio=0.0)
    assert decided({}, SAMPLED, sample_ratio=0.0)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"01-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper().replace('1', 'A')}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-zz",
        "00-" + "9" * 100_000,
        "\u0660\u0660-" + TRACE + "-" + SPAN + "-01",
    ],
)
def test_a_hostile_traceparent_is_no_trace(header: str) -> None:
    assert parse(header) is None


def test_the_resource_says_who_and_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "machine-id").write_text("abc\n")
    mounted = "/var/lib/docker/containers/" + "f" * 64
    (tmp_path / "self" / "mountinfo").write_text(f"1 2 0:1 {mounted}/hostname /etc/hostname rw - ext4 x rw\n")
    found = resource_of("broker", tmp_path, tmp_path)
    assert found["service.name"] == "compose-agent-broker"
    assert found["service.namespace"] == "compose-agent"
    assert (found["container.id"], found["host.id"]) == ("f" * 64, "abc")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.namespace=shop")
    found = resource_of("broker", tmp_path / "none", tmp_path / "none")
    assert (found["service.name"], found["service.namespace"]) == ("mine", "shop")
    assert found["deployment.environment.name"] == "test"
    assert "container.id" not in found
