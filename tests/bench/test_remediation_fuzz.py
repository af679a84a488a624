from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from bench.fuzzed_requests import Case, case
from bench.remediation_fuzz import all_well, campaign, send_all
from compose_agent.address import Address
from compose_agent.web.response import Response
from compose_agent.web.server import WebServer


def test_a_case_is_the_same_again_and_others_are_others() -> None:
    cases = [case(1, number) for number in range(300)]
    assert cases == [case(1, number) for number in range(300)]
    assert len({each.data for each in cases}) > 290
    assert Counter(each.whole for each in cases)[True] > 100


def test_a_sample_of_the_campaign_is_well() -> None:
    figures: dict[str, Any] = campaign(range(200), seed=7)
    assert all_well(figures), figures
    assert figures["signals"] > 0
    assert {"malformed", "not_utf8", "media_type"} < figures["open"]["refused"].keys()
    assert {"no_credentials", "wrong_token", "wrong_signature"} < figures["guarded"]["refused"].keys()


@pytest.mark.parametrize(("status", "wrong"), [(200, 0), (505, 0), (500, 3), (503, 3)])
def test_a_fault_of_the_server_is_found(status: int, wrong: int) -> None:
    request = Case(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", whole=True)
    with WebServer(Address("127.0.0.1", 0), Response.text(status, "x")) as server:
        assert isinstance(server.address, Address)
        found = send_all(enumerate([request] * 3), server.address.port)
    assert found.statuses == {status: 3}
    assert len(found.wrong) == wrong
