from __future__ import annotations

import pytest

from remediation.history import Filter
from remediation.page.asked import Asked


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("", Asked()),
        ("state=done&target=web&policy=mend&open=i1&rows=100", Asked("done", "web", "mend", "i1", 100)),
        ("?state=done", Asked()),
        ("state=nonsense&more=1", Asked()),
        ("state=done&state=failed", Asked("failed")),
        ("rows=0", Asked()),
        ("rows=-1", Asked()),
        ("rows=many", Asked()),
        ("rows=%C2%B2", Asked()),
        ("rows=99999999999", Asked(rows=500)),
        ("rows=" + "9" * 5000, Asked(rows=500)),
        ("target=%ff%00", Asked(target="\ufffd\0")),
        ("target=" + "x" * 1000, Asked(target="x" * 300)),
    ],
)
def test_a_query_is_read_as_far_as_it_is_valid(query: str, asked: Asked) -> None:
    assert Asked.parse(query) == asked


def test_an_address_leads_to_the_same_view() -> None:
    asked = Asked("done", "wéb &=?#", "mend", "i1", 100)
    assert Asked.parse(asked.href().removeprefix("?")) == asked
    assert Asked.parse(asked.href(open="").removeprefix("?")).open == ""
    assert Asked().href() == "?"
    assert Asked(target="\ud800").href() == "?target=%3F"
    assert asked.more() == asked.href(rows=500)
    assert Asked(rows=500).more() == ""


def test_a_view_is_a_filter() -> None:
    assert Asked("done", "web", "mend").filter == Filter(state="done", policy="mend", like="web")
    assert (Asked().filtered, Asked(target="x").filtered) == (False, True)
