"""The page behind a real server, and somebody who looks at it and presses its buttons."""

from __future__ import annotations

import html.parser
import http.client
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from compose_agent.address import Address
from compose_agent.web.response import routed
from compose_agent.web.server import WebServer
from compose_agent.web.webfile import WebConfigFile
from remediation.api import reading_routes
from remediation.journal import Journal
from remediation.operations import Operations
from remediation.page import RemediationPage
from remediation.page.rights import Rules
from tests.remediation.standing import active_of, observer_of

PATIENCE_SECONDS = 60.0
LOCAL = Rules(reachable=False, insecure=False)
FORM = "application/x-www-form-urlencoded"


class Html(html.parser.HTMLParser):
    """What a browser would make of a page: tags with attributes, forms, the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.forms: list[dict[str, str]] = []
        self._words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append((tag, found))
        if tag == "form":
            self.forms.append({"action": found.get("action", "")})
        elif tag == "input" and self.forms:
            self.forms[-1][found.get("name", "")] = found.get("value", "")

    def handle_data(self, data: str) -> None:
        self._words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._words).split())

    @property
    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.tags if "id" in attributes]

    def form(self, action: str) -> dict[str, str]:
        """Return the fields of the first form with this action."""
        return next(form for form in self.forms if form["action"] == action)

    @property
    def actions(self) -> set[str]:
        """Return where forms and their buttons lead."""
        buttons = {attributes["formaction"] for _, attributes in self.tags if "formaction" in attributes}
        return {form["action"] for form in self.forms} | buttons


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def page(self) -> Html:
        return Html(self.body)


class Person:
    """Somebody with a browser, which keeps cookies and says where a form comes from."""

    def __init__(self, port: int, user: str = "") -> None:
        self._port = port
        self.cookie = ""
        self.headers: dict[str, str] = {}
        if user:
            credentials = b64encode(f"{user}:secret".encode()).decode()
            self.headers["Authorization"] = f"Basic {credentials}"

    def get(self, path: str = "/", **headers: str) -> Answer:
        return self.ask("GET", path, None, headers)

    def look(self, path: str = "/") -> Html:
        answer = self.get(path)
        assert answer.status == 200, answer.body
        return answer.page

    def press(self, path: str, fields: Mapping[str, str], **headers: str) -> Answer:
        """Send a form as our own page does, unless ``headers`` say otherwise."""
        said = {"Content-Type": FORM, "Sec-Fetch-Site": "same-origin", **headers}
        return self.ask("POST", path, urlencode(fields).encode(), said)

    def ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        sent = {**self.headers, **({"Cookie": self.cookie} if self.cookie else {}), **headers}
        sent = {name: value for name, value in sent.items() if value}
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_SECONDS)) as one:
            one.request(method, path, body, sent)
            answer = one.getresponse()
            text = answer.read().decode()
        if cookie := answer.headers.get("Set-Cookie"):
            self.cookie = cookie.partition(";")[0]
        return Answer(answer.status, dict(answer.headers), text)


@contextmanager
def served(
    journal: Journal, *, rules: Rules = LOCAL, web: WebConfigFile | None = None, **health: Any
) -> Iterator[int]:
    """Serve the page of a role that is well, but for what ``health`` says, on a free port."""
    active = active_of()
    observer = observer_of(journal, active, **health)
    page = RemediationPage(
        journal,
        observer=observer,
        operations=Operations(journal, lambda: None),
        policies=lambda: active.policies.names,
        rules=rules,
    )
    reading = reading_routes(journal, observer, lambda: active.policies.names)
    app = routed({**page.routes(), **page.readable(reading)})
    with WebServer(Address("127.0.0.1", 0), app, web=web) as server:
        assert isinstance(server.address, Address)
        yield server.address.port
