"""The buttons of the page: what is in a form, what each does, and who may press it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs
from wsgiref.types import WSGIEnvironment

from compose_agent.errors import ComposeAgentError
from compose_agent.web.formguard import TOKEN_FIELD
from remediation.operations import Operations
from remediation.page.asked import Asked
from remediation.page.rights import Person
from remediation.receiver.limits import read_body, require_type

_TYPE = "application/x-www-form-urlencoded"
# A reason, an id, a token and the address of the view, each character of which may take nine bytes.
_MOST_BYTES = 64 * 1024
_MOST_FIELDS = 20
# It comes back in every account; a person's sentence is shorter.
_LONGEST_WHY = 500


class NotAllowed(ComposeAgentError):
    """Somebody has pressed what they may not; nothing was done."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a form says; ``back`` is the view of the page on which it was."""

    token: str
    why: str
    id: str
    back: Asked


@dataclass(frozen=True, slots=True)
class Deed:
    """``do`` with a form in somebody's name, if ``may`` says so; ``instead`` is what to type on the host."""

    do: Callable[[Operations, Form, str], object]
    may: Callable[[Person], bool]
    instead: str

    def __call__(self, operations: Operations, form: Form, person: Person) -> None:
        """Do it; raises NotAllowed, NotPossible and StateError."""
        if not self.may(person):
            remedy = f"on the host, say '{self.instead.format(id=form.id)}'; or {person.missing}"
            raise NotAllowed("this button is for those whom the agent knows", remedy=remedy)
        self.do(operations, form, person.name)


DEEDS: Mapping[str, Deed] = {
    "/freeze": Deed(
        lambda operations, form, by: operations.freeze(by, form.why),
        lambda person: person.may_freeze,
        "compose-agent freeze",
    ),
    "/thaw": Deed(
        lambda operations, form, by: operations.thaw(by, form.why),
        lambda person: person.may_decide,
        "compose-agent thaw",
    ),
    "/approve": Deed(
        lambda operations, form, by: operations.approve(form.id, by, form.why),
        lambda person: person.may_decide,
        "compose-agent approve {id}",
    ),
    "/deny": Deed(
        lambda operations, form, by: operations.deny(form.id, by, form.why),
        lambda person: person.may_decide,
        "compose-agent deny {id}",
    ),
}


def form_of(environ: WSGIEnvironment) -> Form:
    """Return the form that a request carries; raises Refusal for what is none, ValueError for too much."""
    require_type(environ, _TYPE)
    text = read_body(environ, _MOST_BYTES).decode("utf-8", "replace")
    fields = parse_qs(text, errors="replace", max_num_fields=_MOST_FIELDS)
    given = {key: values[-1] for key, values in fields.items()}
    return Form(
        token=given.get(TOKEN_FIELD, ""),
        why=" ".join(given.get("why", "").split())[:_LONGEST_WHY],
        id=given.get("id", ""),
        back=Asked.parse(given.get("back", "").removeprefix("?")),
    )
