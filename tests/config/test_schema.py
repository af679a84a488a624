from __future__ import annotations

from compose_agent.commands.roles import SCHEMA
from compose_agent.config.resolve import default_value
from compose_agent.config.schema import environment_name


def test_the_environment_variable_of_a_key() -> None:
    name = environment_name("exporter.web.listen-address")
    assert name == "COMPOSE_AGENT_EXPORTER_WEB_LISTEN_ADDRESS"


def test_no_two_options_share_a_variable_and_no_option_is_a_group() -> None:
    assert len(SCHEMA.by_environment) == len(SCHEMA.options)
    assert not [key for key in SCHEMA.options if SCHEMA.has_prefix(key)]


def test_every_default_can_be_read_and_every_help_is_a_sentence() -> None:
    for key, bound in SCHEMA.options.items():
        default_value(bound.option)
        assert bound.option.help.endswith("."), key
        assert "  " not in bound.option.help, key
