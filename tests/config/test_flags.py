from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
import pytest

from compose_agent.commands.roles import SCHEMA
from compose_agent.config import Given
from compose_agent.config.flags import flag_layer, flags, long_forms


def parsed(arguments: list[str], short: str = "") -> Mapping[str, Given]:
    """Return the layer that a command with every flag makes of ``arguments``."""
    found: dict[str, Any] = {}
    command = click.Command(
        "x",
        callback=lambda **parameters: found.update(parameters),
        params=list(flags(SCHEMA, short)),
        context_settings=long_forms(short) if short else {},
    )
    command.main(arguments, standalone_mode=False)
    return flag_layer(SCHEMA, found, short)


def test_every_option_is_a_flag_under_its_key() -> None:
    names = {name for flag in flags(SCHEMA) for name in flag.opts}
    assert names == {f"--{key}" for key in SCHEMA.options}


def test_nothing_given_is_an_empty_layer() -> None:
    assert parsed([]) == {}


def test_a_value_stays_text_and_says_which_flag_gave_it() -> None:
    assert parsed(["--exporter.scrape-timeout", "3s", "--log.level=debug"]) == {
        "exporter.scrape-timeout": Given("3s", "--exporter.scrape-timeout", named=True),
        "log.level": Given("debug", "--log.level", named=True),
    }


@pytest.mark.parametrize(("flag", "value"), [("--one-process", "true"), ("--no-one-process", "false")])
def test_a_switch_has_a_twin_that_switches_off(flag: str, value: str) -> None:
    assert parsed([flag]) == {"one-process": Given(value, flag, named=True)}


def test_the_last_of_a_switch_and_its_twin_wins() -> None:
    layer = parsed(["--no-exporter.collector.host", "--exporter.collector.host"])
    assert layer["exporter.collector.host"].value == "true"


def test_a_flag_that_is_repeated_gives_a_list() -> None:
    name = "--exporter.web.listen-address"
    assert parsed([name, ":1", f"{name}=:2"])["exporter.web.listen-address"].value == [":1", ":2"]


@pytest.mark.parametrize("prefix", ["", "exporter."])
def test_a_command_of_one_role_takes_short_and_long_forms(prefix: str) -> None:
    layer = parsed([f"--{prefix}web.listen-address=:1", f"--no-{prefix}collector.host"], "exporter")
    assert layer == {
        "exporter.web.listen-address": Given([":1"], "--web.listen-address", named=True),
        "exporter.collector.host": Given("false", "--no-collector.host", named=True),
    }


def test_the_help_names_the_default() -> None:
    by_name = {flag.opts[0]: flag.help or "" for flag in flags(SCHEMA)}
    assert by_name["--exporter.scrape-timeout"].endswith("[default: 9s]")
    assert "default" not in by_name["--docker.host"]
