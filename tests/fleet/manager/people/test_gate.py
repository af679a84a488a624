"""Who is let in, and from which pages a browser may change something."""

from __future__ import annotations

from dataclasses import dataclass
from wsgiref.types import WSGIEnvironment

import pytest

from compose_agent.web.formguard import FormGuard
from fleet.manager.people.gate import Gate
from fleet.manager.principal import ANYBODY, KEY, Principal, Role

OPERATOR = Principal("olga", Role.OPERATOR)
VIEWER = Principal("vera", Role.VIEWER)
OWN = {"HTTP_SEC_FETCH_SITE": "same-origin"}
FOREIGN = {"HTTP_SEC_FETCH_SITE": "cross-site"}
OLD_FOREIGN = {"HTTP_ORIGIN": "https://elsewhere.example", "HTTP_HOST": "manager:4320"}


@dataclass
class Header:
    """Takes the name in a header for proof."""

    needs_token = False

    ambient: bool
    known: dict[str, Principal]

    def find(self, environ: WSGIEnvironment) -> Principal | None:
        return self.known.get(str(environ.get("HTTP_X_NAME", "")))

    def holds(self) -> bool:
        return bool(self.known)


def request(method: str, path: str = "/api/v1/nodes", **more: str) -> WSGIEnvironment:
    return {"REQUEST_METHOD": method, "PATH_INFO": path, **more}


def status(way: Header, environ: WSGIEnvironment) -> int:
    refusal = Gate([way], FormGuard(), 500).admit(environ)
    return refusal.status if refusal else 200


@pytest.mark.parametrize(
    ("ambient", "name", "method", "more", "expected"),
    [
        (True, "olga", "GET", FOREIGN, 200),
        (True, "olga", "POST", OWN, 200),
        (True, "olga", "POST", {}, 200),  # no browser
        (True, "olga", "POST", FOREIGN, 403),
        (True, "olga", "DELETE", OLD_FOREIGN, 403),
        (True, "olga", "PUT", {"HTTP_SEC_FETCH_SITE": "same-site"}, 403),
        (False, "olga", "POST", FOREIGN, 200),
        (False, "vera", "POST", {}, 403),
        (False, "vera", "HEAD", {}, 200),
        (False, "nobody", "GET", {}, 401),
        (False, "", "GET", {}, 401),
    ],
)
def test_who_may_do_what(ambient: bool, name: str, method: str, more: dict[str, str], expected: int) -> None:
    way = Header(ambient, {"olga": OPERATOR, "vera": VIEWER})
    assert status(way, request(method, HTTP_X_NAME=name, **more)) == expected


def test_while_there_is_nobody_everybody_may_look_and_change_nothing() -> None:
    environ = request("GET")
    assert status(Header(ambient=False, known={}), environ) == 200
    assert environ[KEY] is ANYBODY
    assert status(Header(ambient=False, known={}), request("POST")) == 403


def test_whether_the_manager_is_there_is_told_to_everybody() -> None:
    assert status(Header(ambient=False, known={"olga": OPERATOR}), request("GET", "/-/ready")) == 200
