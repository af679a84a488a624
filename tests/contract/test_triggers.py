"""Triggers of the log forwarder's real sink at the remediation role's real route, and at the fake of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from compose_agent.cloudevents import CONTENT_TYPE, PATH
from compose_agent.errors import ComposeAgentError
from compose_agent.web.health import Readiness
from compose_agent.web.local import local_server
from compose_agent.web.localclient import LocalClient
from compose_agent.web.response import routed
from log_forwarder.fake.posts import Reply
from log_forwarder.fake.triggers import FakeTriggers
from log_forwarder.outbox import Tally
from log_forwarder.sinks import make_sink, parse
from log_forwarder.sinks.contract import RequestSink, SinkContext
from remediation.journal import Journal
from remediation.receiver.auth import Access
from remediation.receiver.doors import Doors
from remediation.receiver.routes import Receiver, trigger_routes
from tests.log_forwarder.making import container, make_batch
from tests.log_forwarder.sinks.courier import Delivery
from tests.log_forwarder.transforms.building import event
