from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compose_agent.web.page import Bar, Pages, bar, relative
from compose_agent.web.response import Response


@pytest.fixture
def pages(tmp_path: Path) -> Pages:
    (tmp_path / "templates").mkdir()
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "page.css").write_text("p { color: red }")
    (tmp_path / "static" / "notes.txt").write_text("for nobody")
    (tmp_path / "templates" / "page.html").write_text(
        '{% extends "_frame.html" %}{% block content %}<p title="{{ text }}">{{ text }}</p>{% endblock %}'
    )
    (tmp_path / "templates" / "bar.html").write_text('{% from "_bar.html" import bar %}{{ bar(value) }}')
    return Pages(tmp_path)


def shown(pages: Pages, template: str = "page.html", **values: Any) -> str:
    return pages.html({}, template, links=[], **values).body.decode()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)&gt;"),
        ("\"'&", "&#34;&#39;&amp;"),
        ("{{ 7 * 7 }}", "{{ 7 * 7 }}"),
        ("a\N{RIGHT-TO-LEFT OVERRIDE}b", "a\N{REPLACEMENT CHARACTER}b"),
        ("a\N{ZERO WIDTH SPACE}b\x00\x1b\n", "a�b���"),
        ("日本 ünïcode 🚒", "日本 ünïcode 🚒"),
        ("\ud800", "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_a_text_from_outside_stays_a_text(pages: Pages, text: str, said: str) -> None:
    assert f'<p title="{said}">{said}</p>' in shown(pages, text=text)


def test_a_page_comes_with_the_headers_that_guard_it(pages: Pages) -> None:
    answer = pages.html({}, "page.html", status=404, headers=[("X-More", "1")], links=[], text="")
    headers = dict(answer.headers)
    assert answer.status == 404
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; ")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert (headers["Cache-Control"], headers["X-More"]) == ("no-store", "1")


def test_what_a_template_wants_and_nobody_gives_is_a_fault(pages: Pages) -> None:
    with pytest.raises(Exception, match="'text' is undefined"):
        shown(pages)


def test_files_are_those_of_the_role_and_the_shared_ones_and_no_others(pages: Pages) -> None:
    files = pages.files()
    assert set(files) == {f"/static/{name}" for name in ("frame.css", "icon.svg", "live.js", "page.css")}
    answer = files["/static/page.css"]["GET"]({})
    assert (answer.body, answer.content_type) == (b"p { color: red }", "text/css; charset=utf-8")


def test_a_file_that_a_browser_has_is_not_sent_again(pages: Pages) -> None:
    handler = pages.files()["/static/live.js"]["GET"]
    tag = dict(handler({}).headers)["ETag"]
    again: Response = handler({"HTTP_IF_NONE_MATCH": f"W/{tag}"})
    assert (again.status, again.body) == (304, b"")
    assert handler({"HTTP_IF_NONE_MATCH": '"other"'}).status == 200


@pytest.mark.parametrize(
    ("ratio", "found"),
    [
        (None, None),
        (0.5, Bar(50.0, "fine")),
        (0.8, Bar(80.0, "high")),
        (0.95, Bar(95.0, "full")),
        (7.0, Bar(100.0, "full")),
        (-1.0, Bar(0.0, "fine")),
    ],
)
def test_a_bar_has_a_width_and_a_tone(pages: Pages, ratio: float | None, found: Bar | None) -> None:
    assert bar(ratio) == found
    drawn = shown(pages, "bar.html", value=found)
    assert ("<svg" in drawn) is (found is not None)


def test_addresses_are_relative() -> None:
    assert relative({"Metrics": "/metrics", "Home": "/"}) == [("Metrics", "metrics"), ("Home", "")]
