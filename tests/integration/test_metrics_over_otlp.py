"""The exporter of a real Engine pushes to a real OpenTelemetry Collector, which hands on what it has understood."""

from __future__ import annotations

import time

import docker
import pytest

from bench.patients import wait_until
from compose_agent.tracing.fake.collector import FakeCollector
from lab.agent import Agent
from lab.busybox import IMAGE, ensure_image
from lab.engine import PrivateEngine
from lab.otelcol import OtelCollector

pytestmark = [pytest.mark.engine]
PATIENCE_SECONDS = 90.0
