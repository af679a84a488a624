from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compose_agent.address import Address
from compose_agent.config import Given, Schema, Section, resolve
from compose_agent.config.options import bound_options
from compose_agent.web.options import listen_addresses, web_config_file


@dataclass(frozen=True, slots=True)
class Settings:
    listen: tuple[Address, ...] = listen_addresses("127.0.0.1:9", "nothing")
    web: Path | None = web_config_file()


SCHEMA = Schema([Section("role", Settings, "Role")])


def test_a_role_listens_at_its_default_and_without_a_web_configuration() -> None:
    assert resolve(SCHEMA, []).of(Settings) == Settings((Address("127.0.0.1", 9),), None)


def test_both_are_given_below_the_role() -> None:
    layer = {
        "role.web.listen-address": Given(["[::1]:1", ":2"], "f.yml:1"),
        "role.web.config.file": Given("/etc/web.yml", "f.yml:2"),
    }
    found = resolve(SCHEMA, [layer]).of(Settings)
    assert found == Settings((Address("::1", 1), Address("", 2)), Path("/etc/web.yml"))


def test_the_help_says_what_is_served() -> None:
    helps = [bound.option.help for bound in bound_options(Settings)]
    assert helps[0] == "Where to serve nothing; repeatable. An empty host means all interfaces."
