"""``compose-agent tokens``: with what programs use the manager of this host, and agents join."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import click

from compose_agent.commands.manager_access import (
    ENVIRONMENT,
    JSON,
    ROLES,
    ask,
    environments_of,
    general,
    print_table,
    shown,
)
from compose_agent.config.kinds import parse_duration
from compose_agent.dockerd.overview import words

PATH = "/api/v1/tokens"


def _list(**parameters: Any) -> None:
    document = ask(parameters, "GET", PATH)
    if parameters["json"]:
        click.echo(json.dumps(document, indent=2))
        return
    headings = ("ID", "NAME", "FOR", "ROLE", "ENVIRONMENTS", "EXPIRES", "USES LEFT")
    print_table(headings, map(_row, document["tokens"]))


def _row(token: Mapping[str, Any]) -> tuple[str, ...]:
    joins = token["kind"] == "join"
    return (
        token["id"],
        token["name"],
        "agents that join" if joins else "the API",
        words.DASH if joins else token["role"],
        shown(token["environments"]),
        words.date(token["expires_at"]) if token["expires_at"] else "never",
        words.DASH if token["uses_left"] is None else str(token["uses_left"]),
    )


def _add(**parameters: Any) -> None:
    draft = {
        "name": parameters["name"],
        "kind": "join" if parameters["join"] else "api",
        "role": parameters["role"],
        "environments": environments_of(parameters),
        "expires_in": parameters["expires"],
        "uses": parameters["uses"],
    }
    made = ask(parameters, "POST", PATH, draft)
    # On standard output stands the token alone, so that it can go straight into a file.
    click.echo(f"token {made['id']}; it is shown this once:", err=True)
    click.echo(made["token"])


def _revoke(**parameters: Any) -> None:
    gone = ask(parameters, "DELETE", f"{PATH}/{quote(parameters['token'], safe='')}")
    click.echo(f"token {gone['id']} ({gone['name']}) holds no more")


class _Duration(click.ParamType[float]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds."""
        try:
            return parse_duration(str(value))
        except ValueError:
            self.fail(f"{value!r}: expected a duration such as 12h or 90d", param, ctx)


command = click.Group(
    "tokens",
    help="Show, make and revoke tokens of the manager of this host.",
    commands=[
        click.Command("list", callback=_list, help="Show all tokens.", params=[JSON, *general()]),
        click.Command(
            "add",
            callback=_add,
            help="Make a token and print it, which is the only time that it is shown.",
            params=[
                click.Argument(["name"]),
                click.Option(["--join"], is_flag=True, help="A token with which agents join."),
                click.Option(
                    ["--role"],
                    type=click.Choice(ROLES),
                    default="viewer",
                    show_default=True,
                    help="What may be done with it.",
                ),
                ENVIRONMENT,
                click.Option(["--expires"], type=_Duration(), help="For how long it holds. Unset: for ever."),
                click.Option(
                    ["--uses"], type=click.IntRange(1), help="How many agents may join with it. Unset: any."
                ),
                *general(),
            ],
        ),
        click.Command(
            "revoke",
            callback=_revoke,
            help="End a token, by its id.",
            params=[click.Argument(["token"]), *general()],
        ),
    ],
)
