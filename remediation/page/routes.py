"""The page's routes: to look, to ask why, to press."""

from __future__ import annotations

import time
from collections.abc import Callable, Container
from pathlib import Path
from urllib.parse import parse_qs
from wsgiref.types import WSGIEnvironment

from compose_agent.errors import ComposeAgentError, StateError
from compose_agent.web.formguard import REFERRER_POLICY, Forged, FormGuard
from compose_agent.web.health import HEALTHY_PATH, READY_PATH
from compose_agent.web.page import Pages, relative
from compose_agent.web.response import Handler, Response, RouteTable
from remediation.history import ActionRow, rows
from remediation.journal import Journal, View
from remediation.operations import NotPossible, Operations
from remediation.overview import Observer
from remediation.page.asked import Asked
from remediation.page.deeds import DEEDS, Deed, NotAllowed, form_of
from remediation.page.present import present, told
from remediation.page.rights import Person, Rules, person_of
from remediation.receiver.refusal import Refusal
from remediation.why import Account, account_of, explain, gather

# A filter that little matches does not read a history of months every two seconds.
MOST_LOOKED_AT = 5000
_LONGEST_WORD = 300
_LINKS = relative(
    {"JSON": "/v1/overview", "Metrics": "/metrics", "Health": HEALTHY_PATH, "Ready": READY_PATH}
)
# What a person is told of each kind of failure.
_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (Forged, 403),
    (NotAllowed, 403),
    (NotPossible, 409),
    (StateError, 503),
)


class RemediationPage:
    """Serves the page; ``rules`` may be replaced at any time, ``policies`` gives the names in force."""

    def __init__(
        self,
        journal: Journal,
        *,
        observer: Observer,
        operations: Operations,
        policies: Callable[[], Container[str]],
        rules: Rules,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.rules = rules
        self._journal = journal
        self._observer = observer
        self._operations = operations
        self._policies = policies
        self._now = now
        self._pages = Pages(Path(__file__).parent)
        self._guard = FormGuard()

    def routes(self) -> RouteTable:
        """Return the page, its files and its buttons."""
        return {
            "/": {"GET": self._for_lookers(self._index)},
            "/why": {"GET": self._for_lookers(self._why)},
            **{path: {"POST": self._button(deed)} for path, deed in DEEDS.items()},
            **self._pages.files(),
        }

    def readable(self, table: RouteTable) -> RouteTable:
        """Return routes of questions for those who may look at the page."""
        return {
            path: {method: self._for_lookers_of(handler) for method, handler in methods.items()}
            for path, methods in table.items()
        }

    def _index(self, environ: WSGIEnvironment, person: Person) -> Response:
        query = str(environ.get("QUERY_STRING", ""))
        asked = Asked.parse(query)
        found, account = self._history(asked)
        page = present(self._observer.overview(), asked, found, account)
        template = "live.html" if "fragment" in parse_qs(query) else "page.html"
        out = self._guard.give(environ)
        return self._pages.html(
            environ, template, headers=out.headers, page=page, person=person, token=out.token, links=_LINKS
        )

    def _history(self, asked: Asked) -> tuple[list[ActionRow], Account | None]:
        def work(view: View) -> tuple[list[ActionRow], Account | None]:
            found = rows(view, asked.filter, asked.rows, MOST_LOOKED_AT)
            chosen = view.intent(asked.open) if asked.open else None
            now, policies = self._now(), self._policies()
            return found, account_of(view, chosen.episode, policies, now) if chosen else None

        try:
            return self._journal.read(work)
        except StateError:  # the overview says so
            return [], None

    def _why(self, environ: WSGIEnvironment, _person: Person) -> Response:
        query = parse_qs(str(environ.get("QUERY_STRING", "")), errors="replace")
        word = query.get("word", [""])[-1].strip()[:_LONGEST_WORD]
        evidence = self._journal.read(lambda view: gather(view, word)) if word else None
        accounts = explain(evidence, self._policies(), self._now()) if evidence else []
        return self._pages.html(
            environ,
            "why.html",
            status=200 if accounts or not word else 404,
            headers=(REFERRER_POLICY,),
            word=word,
            accounts=[told(each) for each in reversed(accounts)],
            links=_LINKS,
        )

    def _for_lookers(self, handler: Callable[[WSGIEnvironment, Person], Response]) -> Handler:
        """Answer those who may look with ``handler``, and others with what it would take."""

        def answer(environ: WSGIEnvironment) -> Response:
            person = person_of(environ, self.rules)
            try:
                if not person.may_look:
                    raise NotAllowed("this page is not shown to everybody", remedy=person.missing)
                return handler(environ, person)
            except ComposeAgentError as error:
                return self._problem(environ, error)

        return answer

    def _for_lookers_of(self, handler: Handler) -> Handler:
        def answer(environ: WSGIEnvironment) -> Response:
            person = person_of(environ, self.rules)
            return handler(environ) if person.may_look else Response.json(403, {"error": person.missing})

        return answer

    def _button(self, deed: Deed) -> Handler:
        def answer(environ: WSGIEnvironment) -> Response:
            try:
                form = form_of(environ)
                self._guard.check(environ, form.token)
                deed(self._operations, form, person_of(environ, self.rules))
            except Refusal as refusal:
                return refusal.response()
            except ValueError as error:
                return Response.text(400, str(error))
            except ComposeAgentError as error:
                return self._problem(environ, error)
            # The browser asks for the page anew, so that going back or reloading does not press again.
            address = f"./{form.back.href().removesuffix('?')}"
            return Response(303, b"", headers=(("Location", address), REFERRER_POLICY))

        return answer

    def _problem(self, environ: WSGIEnvironment, error: ComposeAgentError) -> Response:
        status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
        return self._pages.html(
            environ, "problem.html", status=status, headers=(REFERRER_POLICY,), error=error, links=_LINKS
        )
