"""How a sink that posts takes it when its server is in trouble."""

from __future__ import annotations

import pytest

from log_forwarder.fake.posts import FakePosts, Reply
from log_forwarder.sinks.contract import RequestSink, SinkUnavailable
from tests.log_forwarder.sinks.lines import numbered, send_once


def verdict(target: RequestSink, fake: FakePosts, reply: Reply | None) -> tuple[bool, float]:
    """Return ``unseen`` and ``retry_after`` of what a sink raises for a reply; None is a hang-up."""
    fake.replies = [reply]
    with pytest.raises(SinkUnavailable) as caught:
        send_once(target, numbered(0, 1))
    return caught.value.unseen, caught.value.retry_after
