"""Who does not trace does not carry what tracing needs, and nobody carries protobuf's library for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("opentelemetry.sdk", "google.protobuf", "opentelemetry.proto")
STARTED = """
import sys, tempfile
from pathlib import Path
from compose_agent.tracing import pipeline, tracer
from compose_agent.tracing.settings import TracingSettings
from compose_agent.config import Schema, Section
from compose_agent.config.resolve import resolve
settings = resolve(Schema([Section("t", TracingSettings, "T")]), [{}]).of(TracingSettings)
made = pipeline.start("remediation", settings, Path(tempfile.mkdtemp()), ENVIRON)
with tracer("x").start_as_current_span("x"):
    pass
made.stop(0.1)
"""


def loaded(code: str) -> set[str]:
    """Return which of the heavy libraries are there after some code."""
    program = f"{code}\nimport sys\nprint(*[name for name in {HEAVY!r} if name in sys.modules], sep='\\n')"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


@pytest.mark.parametrize(
    "module",
    ["exporter.role", "log_forwarder.role", "remediation.role", "broker.role", "compose_agent.commands.why"],
)
def test_a_role_loads_no_sdk_by_itself(module: str) -> None:
    assert loaded(f"import {module}") == set()


@pytest.mark.parametrize("environ", [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}])
def test_tracing_loads_the_sdk_and_no_protobuf(environ: dict[str, str]) -> None:
    assert loaded(STARTED.replace("ENVIRON", repr(environ))) == {"opentelemetry.sdk"}
