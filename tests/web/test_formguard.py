from __future__ import annotations

import re
from typing import Any

import pytest

from compose_agent.web.formguard import Forged, FormGuard

HOST = "127.0.0.1:9419"
OURS = f"http://{HOST}"


@pytest.fixture
def guard() -> FormGuard:
    return FormGuard()


def given(guard: FormGuard, **environ: Any) -> tuple[str, str]:
    """Return the cookie and the token of a page."""
    out = guard.give(environ)
    cookie = dict(out.headers).get("Set-Cookie", environ.get("HTTP_COOKIE", ""))
    return cookie.partition(";")[0], out.token


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ({"HTTP_SEC_FETCH_SITE": "same-origin"}, True),
        ({"HTTP_SEC_FETCH_SITE": "same-origin", "HTTP_ORIGIN": OURS}, True),
        # A proxy has asked by another name; the browser knows better.
        ({"HTTP_SEC_FETCH_SITE": "same-origin", "HTTP_ORIGIN": "https://agent.example.org"}, True),
        ({"HTTP_ORIGIN": OURS}, True),
        ({"HTTP_ORIGIN": OURS.upper()}, True),
        ({}, True),  # no browser
        ({"HTTP_SEC_FETCH_SITE": "same-site"}, False),  # another port of this host
        ({"HTTP_SEC_FETCH_SITE": "same-site", "HTTP_ORIGIN": OURS}, False),
        ({"HTTP_SEC_FETCH_SITE": "cross-site"}, False),
        ({"HTTP_SEC_FETCH_SITE": "none"}, False),
        ({"HTTP_SEC_FETCH_SITE": "Same-Origin, cross-site"}, False),
        ({"HTTP_ORIGIN": "http://127.0.0.1:8080"}, False),
        ({"HTTP_ORIGIN": "http://evil.example"}, False),
        ({"HTTP_ORIGIN": f"http://evil.example/{HOST}"}, False),
        ({"HTTP_ORIGIN": f"http://{HOST}@evil.example"}, False),
        ({"HTTP_ORIGIN": "null"}, False),
        ({"HTTP_ORIGIN": ""}, False),
        ({"HTTP_ORIGIN": "http://["}, False),
    ],
)
def test_only_our_own_page_sends_a_form(guard: FormGuard, headers: dict[str, str], *, taken: bool) -> None:
    cookie, token = given(guard)
    environ = {"HTTP_HOST": HOST, "HTTP_COOKIE": cookie, **headers}
    if taken:
        guard.check(environ, token)
    else:
        with pytest.raises(Forged, match="another page"):
            guard.check(environ, token)


def test_a_token_is_of_one_cookie_one_user_and_one_run(guard: FormGuard) -> None:
    cookie, token = given(guard, REMOTE_USER="ann")
    good = {"HTTP_HOST": HOST, "HTTP_COOKIE": cookie, "REMOTE_USER": "ann"}
    guard.check(good, token)
    other, other_token = given(guard, REMOTE_USER="ann")
    wrong = [
        (good, ""),
        (good, "x"),
        (good, token[:-1]),
        (good, other_token),
        (good, "é\ud800"),
        ({**good, "HTTP_COOKIE": other}, token),
        ({**good, "HTTP_COOKIE": ""}, token),
        ({**good, "HTTP_COOKIE": cookie[:-1]}, token),
        ({**good, "HTTP_COOKIE": f"other{cookie}"}, token),
        ({**good, "REMOTE_USER": "bob"}, token),
        ({**good, "REMOTE_USER": ""}, token),
    ]
    for environ, said in wrong:
        with pytest.raises(Forged, match="from before the agent was started"):
            guard.check(environ, said)
    with pytest.raises(Forged):
        FormGuard().check(good, token)


def test_a_cookie_that_somebody_slipped_in_makes_no_token(guard: FormGuard) -> None:
    planted = f"compose-agent-form={'a' * 32}"
    with pytest.raises(Forged):
        guard.check({"HTTP_HOST": HOST, "HTTP_COOKIE": planted}, "a" * 32)


def test_the_cookie_is_for_this_page_alone_and_kept(guard: FormGuard) -> None:
    headers = dict(guard.give({"wsgi.url_scheme": "https"}).headers)
    assert re.fullmatch(
        r"compose-agent-form=[A-Za-z0-9_-]{32}; HttpOnly; SameSite=Strict; Secure", headers["Set-Cookie"]
    )
    assert headers["Referrer-Policy"] == "same-origin"
    cookie, token = given(guard)
    again = guard.give({"HTTP_COOKIE": f"other=1; {cookie}; third"})
    assert (again.token, "Set-Cookie" in dict(again.headers)) == (token, False)
    assert "Secure" not in dict(guard.give({"wsgi.url_scheme": "http"}).headers)["Set-Cookie"]


@pytest.mark.parametrize("value", ["", "x", "a" * 31, "a" * 33, "a" * 31 + "<", "a" * 31 + "é"])
def test_a_cookie_that_cannot_be_ours_is_replaced(guard: FormGuard, value: str) -> None:
    assert "Set-Cookie" in dict(guard.give({"HTTP_COOKIE": f"compose-agent-form={value}"}).headers)
