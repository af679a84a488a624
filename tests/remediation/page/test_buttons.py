"""Every button over HTTP: what it does, for whom, in whose name, and from where it is not taken."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from compose_agent.web.webfile import WebConfigFile
from remediation.journal import FREEZE_FLAG, Journal
from remediation.model import Intent, Reason, State
from remediation.page.rights import Rules
from tests.remediation.journal.making import episode, intent
from tests.remediation.page.browsing import Answer, Person, served

REACHABLE = Rules(reachable=True, insecure=False)
INSECURE = Rules(reachable=True, insecure=True)
BUTTONS = ("freeze", "thaw", "approve", "deny")


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> WebConfigFile:
    """Return a web configuration file with the users ann and bob."""
    secret = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    path: Path = tmp_path_factory.mktemp("web") / "web.yml"
    path.write_text(f"basic_auth_users:\n  ann: {secret}\n  bob: {secret}\n")
    return WebConfigFile(path)


@pytest.fixture
def port(journal: Journal, web: WebConfigFile) -> Iterator[int]:
    """Return the port of a page that other hosts reach, with users."""
    with served(journal, rules=REACHABLE, web=web) as port:
        yield port


@pytest.fixture
def ann(port: int) -> Person:
    return Person(port, "ann")


@pytest.fixture
def stranger(journal: Journal) -> Iterator[Person]:
    """Return somebody on this host whom nobody knows."""
    with served(journal) as port:
        yield Person(port)


def waiting(journal: Journal) -> None:
    journal.write(lambda tx: tx.put_episode(episode()))
    asks = intent("abc1", reason=Reason.APPROVAL, not_before=time.time() + 600, created_at=time.time())
    journal.write(lambda tx: tx.put_intent(asks))


def frozen(journal: Journal) -> str | None:
    return journal.read(lambda view: view.flag(FREEZE_FLAG))


def asked(journal: Journal) -> Intent:
    found = journal.read(lambda view: view.intent("abc1"))
    assert found
    return found


def audit(journal: Journal) -> list[tuple[str, Any]]:
    return [(each.kind, each.fields) for each in journal.read(lambda view: view.entries(0, 99))]


def pressed(person: Person, button: str, why: str = "", **fields: str) -> Answer:
    """Press a button of the page as it is now; approve and deny stand in the same form."""
    page = person.look()
    form = page.form("approve" if button == "deny" else button)
    return person.press(f"/{button}", {**form, "why": why, **fields})


def test_freeze_and_thaw_in_the_name_of_a_user(ann: Person, journal: Journal) -> None:
    answer = pressed(ann, "freeze", why="  a \r\n move  ")
    assert (answer.status, answer.headers["Location"]) == (303, "./")
    page = ann.look()
    assert "Frozen: nothing is begun" in page.text
    assert "by ann: a move" in page.text
    assert "freeze" not in page.actions
    assert pressed(ann, "thaw", why="over").status == 303
    assert frozen(journal) is None
    assert audit(journal) == [
        ("frozen", {"by": "ann", "why": "a move"}),
        ("thawed", {"by": "ann", "why": "over"}),
    ]


def test_approve_in_the_name_of_a_user(ann: Person, journal: Journal) -> None:
    waiting(journal)
    assert pressed(ann, "approve", why="seen it").status == 303
    assert asked(journal).approved_by == "ann"
    assert audit(journal) == [("approved", {"by": "ann", "why": "seen it"})]
    assert "approve" not in ann.look().actions


def test_deny_in_the_name_of_a_user(ann: Person, journal: Journal) -> None:
    waiting(journal)
    assert pressed(ann, "deny", why="not now").status == 303
    found = asked(journal)
    assert (found.state, found.reason, found.detail) == (
        State.SUPPRESSED,
        Reason.DENIED,
        "denied by ann: not now",
    )
    assert audit(journal) == [("denied", {"by": "ann", "why": "not now"})]


def test_the_view_from_which_somebody_pressed_comes_back(ann: Person) -> None:
    form = ann.look("/?state=done&target=w%C3%A9b&nonsense=1").form("freeze")
    assert ann.press("/freeze", form).headers["Location"] == "./?state=done&target=w%C3%A9b"


@pytest.mark.parametrize("back", ["//evil.example", "https://evil.example/", "?x=\r\nSet-Cookie: a=b", "\\e"])
def test_the_way_back_leads_nowhere_else(ann: Person, back: str) -> None:
    answer = pressed(ann, "freeze", back=back)
    assert (answer.status, answer.headers["Location"]) == (303, "./")
    assert "Set-Cookie" not in answer.headers


def test_who_is_not_known_may_freeze_and_no_more(stranger: Person, journal: Journal) -> None:
    waiting(journal)
    form = stranger.look().form("freeze")
    assert pressed(stranger, "freeze", why="at night").status == 303
    assert audit(journal) == [("frozen", {"by": "somebody at 127.0.0.1", "why": "at night"})]
    page = stranger.look()
    assert page.actions.isdisjoint(BUTTONS)
    assert "compose-agent thaw" in page.text
    for button in ("thaw", "approve", "deny"):
        answer = stranger.press(f"/{button}", {**form, "id": "abc1"})
        assert answer.status == 403
        assert f"on the host, say 'compose-agent {button}" in answer.page.text
        assert "basic_auth_users" in answer.page.text
    assert frozen(journal)
    assert asked(journal).state is State.PLANNED
    assert not asked(journal).approved_by
    assert len(audit(journal)) == 1


def test_with_insecure_anybody_may_press_and_the_address_is_written_down(journal: Journal) -> None:
    waiting(journal)
    with served(journal, rules=INSECURE) as port:
        assert pressed(Person(port), "approve").status == 303
    assert asked(journal).approved_by == "somebody at 127.0.0.1"


@pytest.mark.parametrize("button", BUTTONS)
def test_without_a_password_nothing_is_seen_or_pressed(port: int, journal: Journal, button: str) -> None:
    person = Person(port)
    assert person.get().status == 401
    assert person.press(f"/{button}", {"token": "x", "id": "abc1"}).status == 401
    assert audit(journal) == []


@pytest.mark.parametrize("button", BUTTONS)
def test_a_page_that_only_others_reach_takes_no_button_of_strangers(journal: Journal, button: str) -> None:
    with served(journal) as port:
        person = Person(port)
        form = person.look().form("freeze")
    with served(journal, rules=REACHABLE) as port:
        other = Person(port)
        other.cookie = person.cookie
        assert other.press(f"/{button}", {**form, "id": "abc1"}).status == 403
    assert audit(journal) == []


# Changes to a good request, by which it is none any more.
Forge = Callable[[Person, dict[str, str]], dict[str, str]]


def without_cookie(person: Person, form: dict[str, str]) -> dict[str, str]:
    person.cookie = ""
    return form


def with_planted_cookie(person: Person, form: dict[str, str]) -> dict[str, str]:
    person.cookie = f"compose-agent-form={'a' * 32}"
    return form


def without_token(_person: Person, form: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in form.items() if key != "token"}


def with_wrong_token(_person: Person, form: dict[str, str]) -> dict[str, str]:
    return {**form, "token": form["token"][::-1]}


def honest(_person: Person, form: dict[str, str]) -> dict[str, str]:
    return form


@pytest.mark.parametrize("button", BUTTONS)
@pytest.mark.parametrize(
    ("forge", "headers"),
    [
        (without_cookie, {}),
        (with_planted_cookie, {}),
        (without_token, {}),
        (with_wrong_token, {}),
        (honest, {"Sec-Fetch-Site": "cross-site"}),
        (honest, {"Sec-Fetch-Site": "same-site"}),
        (honest, {"Sec-Fetch-Site": "none"}),
        (honest, {"Sec-Fetch-Site": "", "Origin": "http://evil.example"}),
        (honest, {"Sec-Fetch-Site": "", "Origin": "http://127.0.0.1:1"}),
        (honest, {"Sec-Fetch-Site": "", "Origin": "null"}),
        (without_cookie, {"Sec-Fetch-Site": ""}),
        (without_token, {"Sec-Fetch-Site": "", "Origin": ""}),
    ],
)
def test_what_another_page_makes_a_browser_send_is_refused(
    ann: Person, journal: Journal, button: str, forge: Forge, headers: dict[str, str]
) -> None:
    waiting(journal)
    form = forge(ann, {**ann.look().form("approve"), "why": ""})
    answer = ann.press(f"/{button}", form, **headers)
    assert (answer.status, "Not done" in answer.page.text) == (403, True)
    assert audit(journal) == []
    assert frozen(journal) is None
    assert not asked(journal).approved_by


def test_a_form_of_another_user_is_refused(ann: Person, port: int, journal: Journal) -> None:
    form = ann.look().form("freeze")
    bob = Person(port, "bob")
    bob.cookie = ann.cookie
    assert bob.press("/freeze", form).status == 403
    assert frozen(journal) is None


def test_a_form_from_before_a_restart_says_so(journal: Journal, web: WebConfigFile) -> None:
    with served(journal, web=web) as port:
        ann = Person(port, "ann")
        form = ann.look().form("freeze")
    with served(journal, web=web) as port:
        later = Person(port, "ann")
        later.cookie = ann.cookie
        answer = later.press("/freeze", form)
    assert (answer.status, "from before the agent was started" in answer.page.text) == (403, True)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("button", BUTTONS)
def test_a_button_is_a_post(ann: Person, journal: Journal, method: str, button: str) -> None:
    assert ann.ask(method, f"/{button}", None, {}).status == 405
    assert audit(journal) == []


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "text/plain"}, b"token=x", 415),
        ({"Content-Type": "application/json"}, b"{}", 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"--x--", 415),
        ({"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}, b"", 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"why=" + b"x" * 70_000, 413),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"a=b&" * 100, 400),
        ({"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, b"\xff=%ff&token=%ff", 403),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"", 403),
    ],
)
def test_what_is_no_form_of_ours_is_refused(
    ann: Person, journal: Journal, headers: dict[str, str], body: bytes, status: int
) -> None:
    assert ann.ask("POST", "/freeze", body, headers).status == status
    assert audit(journal) == []


def test_what_does_not_fit_what_there_is_is_said(ann: Person, journal: Journal) -> None:
    waiting(journal)
    form = ann.look().form("approve")
    assert pressed(ann, "approve").status == 303
    again = ann.press("/deny", form)
    assert (again.status, "it is approved by ann" in again.page.text) == (409, True)
    assert ann.press("/approve", {**form, "id": "<script>"}).status == 409
    assert ann.press("/approve", {**form, "id": ""}).status == 409
    assert ann.press("/thaw", form).status == 409


def test_what_cannot_be_written_is_said(ann: Person, journal: Journal) -> None:
    form = ann.look().form("freeze")
    journal.close()
    answer = ann.press("/freeze", form)
    assert (answer.status, "Not done" in answer.page.text) == (503, True)


def test_a_long_reason_is_cut(ann: Person, journal: Journal) -> None:
    pressed(ann, "freeze", why="long " * 1000)
    ((_, fields),) = audit(journal)
    assert len(fields["why"]) == 500
