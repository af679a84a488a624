from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compose_agent.config import Given, Schema, Section, resolve
from compose_agent.errors import ConfigError
from compose_agent.web.webconfig import WebConfig
from remediation.receiver.doors import Doors, doors_of
from remediation.receiver.refusal import Refusal
from remediation.receiver.signatures import Replays
from remediation.settings import RemediationSettings

SCHEMA = Schema([Section("remediation", RemediationSettings, "Remediation")])
USERS = WebConfig(users={"am": b"hash"})


def doors(web: WebConfig | None = None, **given: object) -> Doors:
    layer = {f"remediation.{key.replace('_', '-')}": Given(value, "f.yml:1") for key, value in given.items()}
    settings = resolve(SCHEMA, [layer]).of(RemediationSettings)
    return doors_of(settings, web, Replays())


def lets_in(found: Doors, **environ: str) -> bool:
    try:
        return not found.access.judge_head({"REMOTE_ADDR": "127.0.0.1", **environ})
    except Refusal:
        return False


@pytest.fixture
def secrets(tmp_path: Path) -> str:
    path = tmp_path / "secrets"
    path.write_text("token-1\n")
    return str(path)


def test_by_itself_this_host_is_let_in_within_the_limits() -> None:
    found = doors()
    assert lets_in(found)
    assert found.body_limit == 4 << 20
    assert found.bucket is not None
    assert (found.bucket.limit.burst, found.bucket.limit.interval) == (20_000, 0.003)


OPEN: dict[str, Any] = {"web.listen-address": "0.0.0.0:9419"}


@pytest.mark.parametrize(("web", "more"), [(USERS, {}), (None, {"insecure": "yes"})])
def test_an_address_for_others_needs_users_or_a_word(web: WebConfig | None, more: dict[str, Any]) -> None:
    found = doors(web, **OPEN, **more)
    assert lets_in(found, AUTH_TYPE="Basic")
    assert lets_in(found) is bool(more)


def test_an_address_for_others_without_proof_is_refused() -> None:
    for web in (None, WebConfig()):
        with pytest.raises(ConfigError, match="can be reached from other hosts"):
            doors(web, **OPEN)
    with pytest.raises(ConfigError, match="can be reached from other hosts"):
        doors(**OPEN, allow_from="10.0.0.0/8")


@pytest.mark.parametrize("more", [{}, OPEN])
def test_tokens_are_asked_for_everywhere(secrets: str, more: dict[str, Any]) -> None:
    found = doors(bearer_token_file=secrets, **more)
    assert lets_in(found, HTTP_AUTHORIZATION="Bearer token-1")
    assert not lets_in(found)


def test_a_token_that_is_replaced_holds_at_once(secrets: str) -> None:
    found = doors(bearer_token_file=secrets)
    Path(secrets).write_text("token-1\ntoken-22\n")
    assert lets_in(found, HTTP_AUTHORIZATION="Bearer token-22")


def test_keys_prove_an_address_too(secrets: str) -> None:
    assert not lets_in(doors(**OPEN, hmac_key_file=secrets))


def test_tokens_and_users_do_not_go_together(secrets: str) -> None:
    with pytest.raises(ConfigError, match="both come in the header Authorization"):
        doors(USERS, bearer_token_file=secrets)
    doors(USERS, hmac_key_file=secrets)


def test_networks_are_let_in() -> None:
    found = doors(allow_from=["10.1.0.0/16", "127.0.0.1"])
    assert lets_in(found)
    assert not lets_in(found, REMOTE_ADDR="10.2.0.1")


def test_secrets_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere: cannot be read"):
        doors(hmac_key_file=str(tmp_path / "nowhere"))


def test_the_rate_is_a_bucket() -> None:
    found = doors(rate_limit="30/1m", body_limit="1KiB")
    assert (found.bucket and found.bucket.limit.interval, found.body_limit) == (2.0, 1024)
