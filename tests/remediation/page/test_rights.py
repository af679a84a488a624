from __future__ import annotations

from typing import Any

import pytest

from compose_agent.address import Address
from compose_agent.commands.roles import SCHEMA
from compose_agent.config.resolve import Given, resolve
from remediation.page.rights import Rules, person_of
from remediation.settings import RemediationSettings

LOCAL = Rules(reachable=False, insecure=False)
REACHABLE = Rules(reachable=True, insecure=False)
INSECURE = Rules(reachable=True, insecure=True)
USER = {"AUTH_TYPE": "Basic", "REMOTE_USER": "ann", "REMOTE_ADDR": "10.0.0.7"}
CERTIFICATE = {"SSL_CLIENT_VERIFY": "SUCCESS", "SSL_CLIENT_S_DN_CN": "bob"}
STRANGER = {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost:9419"}


@pytest.mark.parametrize(
    ("environ", "rules", "name", "may"),
    [
        (USER, LOCAL, "ann", "look freeze decide"),
        (USER, REACHABLE, "ann", "look freeze decide"),
        ({**USER, "HTTP_HOST": "agent.example.org"}, LOCAL, "ann", "look freeze decide"),
        (CERTIFICATE, REACHABLE, "bob", "look freeze decide"),
        ({"SSL_CLIENT_VERIFY": "SUCCESS", "SSL_CLIENT_S_DN": "O=us"}, LOCAL, "O=us", "look freeze decide"),
        ({"SSL_CLIENT_VERIFY": "SUCCESS"}, LOCAL, "the owner of a client certificate", "look freeze decide"),
        (STRANGER, LOCAL, "somebody at 127.0.0.1", "look freeze"),
        (STRANGER, REACHABLE, "somebody at 127.0.0.1", ""),
        (STRANGER, INSECURE, "somebody at 127.0.0.1", "look freeze decide"),
        ({**STRANGER, "HTTP_HOST": "evil.example"}, INSECURE, "somebody at 127.0.0.1", "look freeze decide"),
        ({"HTTP_HOST": "localhost"}, LOCAL, "somebody on this host", "look freeze"),
        # What only looks like proof.
        ({**STRANGER, "REMOTE_USER": "ann"}, LOCAL, "somebody at 127.0.0.1", "look freeze"),
        ({**STRANGER, "SSL_CLIENT_VERIFY": "NONE", "SSL_CLIENT_S_DN_CN": "x"}, REACHABLE,
         "somebody at 127.0.0.1", ""),
        ({**STRANGER, "HTTP_X_FORWARDED_FOR": "1.2.3.4", "HTTP_REMOTE_USER": "ann"}, LOCAL,
         "somebody at 127.0.0.1", "look freeze"),
        ({**STRANGER, "HTTP_AUTHORIZATION": "Bearer abc"}, REACHABLE, "somebody at 127.0.0.1", ""),
    ],
)  # fmt: skip
def test_what_somebody_may(environ: dict[str, str], rules: Rules, name: str, may: str) -> None:
    person = person_of(environ, rules)
    rights = {"look": person.may_look, "freeze": person.may_freeze, "decide": person.may_decide}
    assert person.name == name
    assert " ".join(right for right, has in rights.items() if has) == may
    assert bool(person.missing) is not person.may_decide


@pytest.mark.parametrize(
    ("host", "seen"),
    [
        ("localhost", True),
        ("LOCALHOST:9419", True),
        ("127.0.0.1:9419", True),
        ("[::1]:9419", True),
        ("10.1.2.3", True),
        ("", False),
        ("evil.example", False),
        ("evil.example:9419", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("127.0.0.1@evil.example", False),
        ("evil.example/127.0.0.1", False),
        ("[::1", False),
        ("127.1", False),
    ],
)
def test_a_name_that_its_owner_may_lead_anywhere_shows_a_stranger_nothing(host: str, *, seen: bool) -> None:
    person = person_of({**STRANGER, "HTTP_HOST": host}, LOCAL)
    assert (person.may_look, person.may_freeze) == (seen, seen)


@pytest.mark.parametrize(
    ("given", "rules"),
    [
        ({}, LOCAL),
        ({"insecure": "true"}, Rules(reachable=False, insecure=True)),
        ({"web.listen-address": ["127.0.0.1:1", "0.0.0.0:2"]}, REACHABLE),
        ({"web.listen-address": ["[::1]:1"]}, LOCAL),
    ],
)
def test_the_rules_are_those_of_the_configuration(given: dict[str, Any], rules: Rules) -> None:
    layer = {f"remediation.{key}": Given(value, "here") for key, value in given.items()}
    settings = resolve(SCHEMA, [layer]).of(RemediationSettings)
    assert isinstance(settings.listen_addresses[0], Address)
    assert Rules.of(settings) == rules
