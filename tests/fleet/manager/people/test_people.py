"""People and programs over TCP: logging in, roles, tokens, browsers, and what is written down."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
import urllib3

from fleet.manager.people.audit import verify_audit
from fleet.manager.store import manager_database
from tests.fleet.manager.people.asking import PASSWORD, Asker, locally, person, token
from tests.fleet.manager.serving import HandAgent, Manager, serving

NODE = "/api/v1/nodes/web-1/disable"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with serving(tmp_path) as running:
        HandAgent(running, "web-1", interval=3600.0).say(described=True)
        yield running


class Browser:
    """Keeps cookies, and says where its requests come from as a browser does."""

    def __init__(self, manager: Manager) -> None:
        self.manager = manager
        self.cookies: dict[str, str] = {}
        self.flags: dict[str, str] = {}

    def ask(
        self, method: str, path: str, body: str = "", site: str = "same-origin", **more: str
    ) -> urllib3.BaseHTTPResponse:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Cookie": cookie, "Accept": "text/html", "Sec-Fetch-Site": site, **more}
        answer = urllib3.request(
            method,
            self.manager.url + path,
            body=body,
            headers=headers,
            retries=False,
            redirect=False,
            timeout=60.0,
        )
        for given in answer.headers.getlist("set-cookie"):
            pair, _, flags = given.partition(";")
            name, _, value = pair.partition("=")
            self.cookies[name], self.flags[name] = value, flags
        return answer

    def token(self, path: str = "/login") -> str:
        found = re.search(r'name="token" value="(\w+)"', self.ask("GET", path).data.decode())
        assert found
        return found[1]

    def log_in(self, name: str, password: str = PASSWORD, following: str = "") -> urllib3.BaseHTTPResponse:
        fields = {"token": self.token(), "name": name, "password": password, "next": following}
        return self.ask("POST", "/login", urlencode(fields), **FORM)


@pytest.fixture
def browser(manager: Manager) -> Browser:
    return Browser(manager)


def test_a_person_logs_in_and_out(manager: Manager, browser: Browser) -> None:
    person(manager, "olga", "operator", None)
    asked = browser.ask("GET", "/node?id=web-1")
    assert (asked.status, asked.headers["Location"]) == (303, "./login?next=node%3Fid%3Dweb-1")
    answer = browser.log_in("olga", following="node?id=web-1")
    assert (answer.status, answer.headers["Location"]) == (303, "./node?id=web-1")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(
        browser.flags["compose-agent-session"].split("; ")
    ) | {flag.strip() for flag in browser.flags["compose-agent-session"].split(";")}
    assert browser.ask("GET", "/").status == 200
    assert browser.ask("POST", "/logout", urlencode({"token": "wrong"}), **FORM).status == 403
    out = browser.ask("POST", "/logout", urlencode({"token": browser.token("/logout")}), **FORM)
    assert (out.status, out.headers["Location"]) == (303, "./login")
    assert browser.ask("GET", "/").status == 303


def test_a_session_changes_something_only_from_a_page_of_ours(manager: Manager, browser: Browser) -> None:
    person(manager, "olga", "operator", None)
    browser.log_in("olga")
    assert browser.ask("POST", NODE).status == 403  # without the token of a page
    assert browser.ask("POST", NODE, site="cross-site").status == 403
    assert manager.role._registry.find("web-1")[0].disabled is False
    forms = manager.role._people.forms
    given = forms.give(
        {"HTTP_COOKIE": f"compose-agent-form={browser.cookies['compose-agent-form']}", "REMOTE_USER": "olga"}
    )
    assert browser.ask("POST", NODE, **{"X-Form-Token": given.token}).status == 200
    assert browser.ask("POST", NODE, site="same-site", **{"X-Form-Token": given.token}).status == 403


@pytest.mark.parametrize(
    "following", ["//elsewhere.example/", "https://elsewhere.example", "\\\\elsewhere", "a b"]
)
def test_a_login_leads_nowhere_else(following: str, manager: Manager, browser: Browser) -> None:
    person(manager, "olga", "viewer", None)
    location = browser.log_in("olga", following=following).headers["Location"]
    assert location == "./" or location.startswith("./elsewhere")


@pytest.mark.parametrize(
    ("method", "body"), [("PUT", {"role": "viewer", "password": PASSWORD}), ("DELETE", None)]
)
def test_who_was_removed_or_has_a_new_password_is_logged_out(
    method: str, body: object, manager: Manager, browser: Browser
) -> None:
    person(manager, "olga", "viewer", None)
    person(manager, "adam", "admin", None)
    browser.log_in("olga")
    assert browser.ask("GET", "/").status == 200
    locally(manager, method, "/api/v1/people/olga", body)
    assert browser.ask("GET", "/").status == 303


def test_the_pages_show_who_may_do_what_and_who_has_done_what(manager: Manager) -> None:
    anna = person(manager, "anna", "admin", ["staging"])
    olga = person(manager, "olga", "operator", ["staging"])
    person(manager, "otto", "viewer", None)
    text = anna.ask("GET", "/people").data.decode()
    assert ("olga" in text, "otto" in text) == (True, False)
    token(manager, "viewer", ["staging"], "grafana")
    assert "grafana" in anna.ask("GET", "/tokens").data.decode()
    audit = anna.ask("GET", "/audit?fragment=1").data.decode()
    assert ("/api/v1/people/olga" in audit, "otto" in audit) == (True, False)
    for page in ("/people", "/tokens"):
        assert "shown to administrators" in olga.ask("GET", page).data.decode()


def test_after_ten_mistakes_a_right_password_is_not_looked_at(manager: Manager) -> None:
    olga = person(manager, "olga", "viewer", None)
    wrong = Asker(manager, urllib3.make_headers(basic_auth="olga:wrong password"))
    for _ in range(12):
        wrong.ask("GET", "/api/v1/nodes")
    assert wrong.ask("GET", "/api/v1/nodes").status == 429
    refused = olga.ask("GET", "/api/v1/nodes")
    assert (refused.status, refused.headers["Retry-After"]) == (429, "6")


def test_while_nobody_has_a_password_none_is_a_wrong_one(manager: Manager) -> None:
    early = Asker(manager, urllib3.make_headers(basic_auth="prometheus:a password"))
    assert {early.ask("GET", "/metrics").status for _ in range(12)} == {200}
    person(manager, "prometheus", "viewer", None)
    assert early.ask("GET", "/metrics").status == 401


@pytest.mark.parametrize(
    ("role", "looks", "operates", "administers"),
    [("viewer", 200, 403, 403), ("operator", 200, 200, 403), ("admin", 200, 200, 200)],
)
def test_each_role_may_do_what_the_ones_below_may(
    role: str, looks: int, operates: int, administers: int, manager: Manager
) -> None:
    for asker in (token(manager, role, None), person(manager, "anna", role, None)):
        assert asker.ask("GET", "/api/v1/nodes").status == looks
        assert asker.ask("POST", NODE).status == operates
        assert asker.ask("GET", "/api/v1/tokens").status == administers


def test_a_token_ends_when_it_expires_or_is_revoked(manager: Manager) -> None:
    short_seconds = 4.0  # and so long that a loaded machine has asked with it before
    _, short = locally(manager, "POST", "/api/v1/tokens", {"name": "short", "expires_in": short_seconds})
    _, other = locally(manager, "POST", "/api/v1/tokens", {"name": "other"})
    askers = [Asker(manager, {"Authorization": f"Bearer {made['token']}"}) for made in (short, other)]
    assert [asker.ask("GET", "/api/v1/nodes").status for asker in askers] == [200, 200]
    locally(manager, "DELETE", f"/api/v1/tokens/{other['id']}")
    time.sleep(short_seconds + 0.1)
    assert [asker.ask("GET", "/api/v1/nodes").status for asker in askers] == [401, 401]


def test_of_secrets_there_are_only_hashes_on_disk(tmp_path: Path) -> None:
    with serving(tmp_path) as manager:
        asker = token(manager, "viewer", None)
        person(manager, "olga", "viewer", None)
    text = asker.headers["Authorization"].removeprefix("Bearer ")
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    assert b"olga" in stored
    for secret in (text, text.rpartition("-")[2], PASSWORD):
        assert secret.encode() not in stored
    with serving(tmp_path) as again:
        assert Asker(again, asker.headers).ask("GET", "/api/v1/nodes").status == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/api/v1/people/olga", {"role": "king"}),
        ("PUT", "/api/v1/people/olga", {"role": "viewer", "password": "short"}),
        ("PUT", "/api/v1/people/olga", {"role": "viewer", "password": "x" * 73}),
        ("PUT", "/api/v1/people/olga", {"role": "viewer", "environments": []}),
        ("PUT", "/api/v1/people/olga", {"role": "viewer", "unknown": 1}),
        ("PUT", "/api/v1/people/local", {"role": "viewer"}),
        ("PUT", "/api/v1/people/token%3Arobot", {"role": "viewer"}),
        ("POST", "/api/v1/tokens", {"name": "a b"}),
        ("POST", "/api/v1/tokens", {"name": "a", "kind": "other"}),
        ("POST", "/api/v1/tokens", {"name": "a", "expires_in": 0}),
        ("POST", "/api/v1/tokens", {"name": "a", "uses": 1}),
        ("POST", "/api/v1/tokens", "not an object"),
    ],
)
def test_what_cannot_be_is_refused(method: str, path: str, body: object, manager: Manager) -> None:
    status, answer = locally(manager, method, path, body)
    assert status == 400
    assert answer["error"]


def test_a_body_that_is_too_long_is_not_read(manager: Manager) -> None:
    asker = token(manager, "admin", None)
    assert asker.ask("POST", "/api/v1/tokens", "x" * (1024 * 1024 + 1)).status == 413
    assert token(manager, "viewer", None).ask("POST", NODE, "x" * (1024 * 1024 + 1)).status == 403


def test_a_proxy_names_people_and_nobody_else_does(tmp_path: Path) -> None:
    options = {"proxy.header": "X-Forwarded-User", "proxy.address": "127.0.0.1"}
    with serving(tmp_path, **options) as manager:
        draft = {"role": "operator", "environments": ["staging"]}
        assert locally(manager, "PUT", "/api/v1/people/olga", draft)[0] == 200
        named = Asker(manager, {"X-Forwarded-User": "olga"})
        assert named.ask("GET", "/api/v1/nodes").status == 200
        assert Asker(manager, {"X-Forwarded-User": "nobody"}).ask("GET", "/api/v1/nodes").status == 401
        # The proxy says for whom it asks: that is not where the connection comes from.
        assert named.ask("GET", "/api/v1/nodes", **{"X-Forwarded-For": "192.0.2.7"}).status == 200
        assert named.ask("POST", "/api/v1/nodes/x/disable", **{"Sec-Fetch-Site": "cross-site"}).status == 403
    with serving(tmp_path, **{**options, "proxy.address": "192.0.2.7"}) as manager:
        forged = Asker(manager, {"X-Forwarded-User": "olga", "X-Forwarded-For": "192.0.2.7"})
        assert forged.ask("GET", "/api/v1/nodes").status == 401


def test_somebody_who_asks_too_often_is_asked_to_wait(tmp_path: Path) -> None:
    with serving(tmp_path, request_rate="5") as manager:
        first, second = token(manager, "viewer", None, "one"), token(manager, "viewer", None, "two")
        statuses = [first.ask("GET", "/api/v1/nodes").status for _ in range(30)]
        assert 429 in statuses
        assert second.ask("GET", "/api/v1/nodes").status == 200


def test_every_change_is_in_the_audit_with_who_and_why(tmp_path: Path) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    with serving(tmp_path) as manager:
        HandAgent(manager, "web-1", interval=3600.0).say(described=True)
        asker = token(manager, "operator", None)
        asker.ask("POST", NODE, traceparent=f"00-{trace}-b7ad6b7169203331-01")
        asker.ask("POST", "/api/v1/nodes/nobody/disable")
        asker.ask("GET", "/api/v1/nodes")
    database = manager_database(tmp_path)
    rows = database.read(lambda tx: tx.execute("SELECT kind, body FROM audit ORDER BY seq").fetchall())
    database.close()
    mine = [(kind, body) for kind, body in rows if '"token:robot"' in body]
    assert [kind for kind, _ in mine].count("asked") == [kind for kind, _ in mine].count("answered") == 2
    assert trace in mine[0][1]
    assert verify_audit(tmp_path).broken == 0


def test_what_cannot_be_written_down_is_not_done(manager: Manager) -> None:
    database = manager.role._people.audit._database
    database.write(lambda tx: tx.execute("DROP TABLE audit"))
    status, answer = locally(manager, "POST", NODE)
    assert (status, "nothing was done" in answer["error"]) == (503, True)
    assert manager.state("web-1") == "online"
