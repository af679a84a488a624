"""What is asked for over the API, as types: what they take is described by them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from compose_agent.config.kinds import Detail
from fleet.envelopes.command import MOST_ARGUMENTS, MOST_CHARACTERS
from fleet.envelopes.verbs import Verb
from fleet.manager.commands.model import Row
from fleet.manager.model import Node
from fleet.manager.openapi.answers import decoded
from fleet.manager.selector import parse_selector
from fleet.manager.sight import Sight

T = TypeVar("T")

# A command is for now; what is to be tomorrow is not asked for today.
LONGEST_SECONDS = 86_400.0
DEFAULT_SECONDS = 60.0
Text = Annotated[str, Meta(max_length=MOST_CHARACTERS)]
Arguments = Annotated[dict[Text, Text], Meta(max_length=MOST_ARGUMENTS)]
Seconds = Annotated[float, Meta(ge=1.0, le=LONGEST_SECONDS)]


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be done: a verb, what it is done to, its arguments.

    ``target`` is a container's name, or ``project/service`` for what is done to a service. Without
    ``dry_run`` set it is done. Nothing is begun after so many ``seconds``.
    """

    verb: Verb
    target: Text = ""
    arguments: Arguments = {}
    seconds: Seconds = DEFAULT_SECONDS
    dry_run: bool = False


class Asked(Order, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A command for nodes by their ids or uids, for those that a selector means, or for both.

    A selector is a list of matchers, such as ``role="worker", tag=~"eu.*"``.
    """

    nodes: Annotated[list[Text], Meta(max_length=1000)] = []
    selector: Text = ""

    def __post_init__(self) -> None:
        """Refuse what is for nobody."""
        if not (self.nodes or self.selector):
            raise ValueError("expected nodes, or a selector")


class Given(msgspec.Struct, frozen=True):
    """The commands that were made, one for each node."""

    commands: Sequence[Row]


class NoNode(Exception):
    """A name that no node has, or several have: the message says which."""


def nodes_of(names: Sequence[str], selector: str, sight: Sight) -> list[Node]:
    """Return the nodes that are meant; raises NoNode, and ValueError for a selector that is none."""
    found = {node.uid: node for name in names for node in [_one(name, sight)]}
    if selector:
        selects = parse_selector(selector).selects
        found |= {
            node.uid: node for node in sight.read(lambda nodes: [each for each in nodes if selects(each)])
        }
    if not found:
        raise NoNode("no node is meant by this selector")
    return list(found.values())


def read_order(kind: type[T], body: bytes) -> T:
    """Return what a body asks for; ValueError says what is wrong."""
    try:
        return decoded(kind, body)
    except ValueError as error:
        known = f"; there are {', '.join(Verb)}" if "$.verb" in str(error) else ""
        raise Detail(f"{error}{known}") from error


def _one(name: str, sight: Sight) -> Node:
    found = sight.find(name)
    if len(found) != 1:
        raise NoNode(
            f"there is no node {name}"
            if not found
            else f"{len(found)} agents have the node id {name}: name one by its uid"
        )
    return found[0]
