"""``compose-agent people``: who may use the manager of this host, and for what."""

from __future__ import annotations

import json
import sys
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
from compose_agent.dockerd.overview import words

PATH = "/api/v1/people"


def _list(**parameters: Any) -> None:
    document = ask(parameters, "GET", PATH)
    if parameters["json"]:
        click.echo(json.dumps(document, indent=2))
        return
    rows = [
        (each["name"], each["role"], shown(each["environments"]), "yes" if each["has_password"] else "no",
         words.date(each["created_at"]))
        for each in document["people"]
    ]  # fmt: skip
    print_table(("NAME", "ROLE", "ENVIRONMENTS", "PASSWORD", "SINCE"), rows)


def _add(**parameters: Any) -> None:
    draft = {
        "role": parameters["role"],
        "environments": environments_of(parameters),
        "password": None if parameters["no_password"] else _password(),
    }
    made = ask(parameters, "PUT", _path(parameters["name"]), draft)
    click.echo(f"{made['name']} is {made['role']} in {shown(made['environments'])}")


def _remove(**parameters: Any) -> None:
    gone = ask(parameters, "DELETE", _path(parameters["name"]))
    click.echo(f"{gone['name']} is not known any more")


def _path(name: str) -> str:
    return f"{PATH}/{quote(name, safe='')}"


def _password() -> str:
    """Return a password that somebody types, or the first line of what is piped in."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    text: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return text


command = click.Group(
    "people",
    help="Show, add and remove people who may use the manager of this host.",
    commands=[
        click.Command("list", callback=_list, help="Show everybody.", params=[JSON, *general()]),
        click.Command(
            "add",
            callback=_add,
            help="Make somebody known, or change what they may do. The password is asked for, or read from "
            "standard input.",
            params=[
                click.Argument(["name"]),
                click.Option(["--role"], type=click.Choice(ROLES), required=True, help="What they may do."),
                ENVIRONMENT,
                click.Option(
                    ["--no-password"],
                    is_flag=True,
                    help="Leave the password as it is, or let them come through the proxy only.",
                ),
                *general(),
            ],
        ),
        click.Command(
            "remove",
            callback=_remove,
            help="Remove somebody; where they are logged in, they are not any more.",
            params=[click.Argument(["name"]), *general()],
        ),
    ],
)
