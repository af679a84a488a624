from __future__ import annotations

from pathlib import Path

import pytest

from compose_agent.config import Given, Schema, Section, resolve
from compose_agent.errors import ConfigError
from remediation.check import check, policies_for
from remediation.settings import RemediationSettings

SCHEMA = Schema([Section("remediation", RemediationSettings, "Remediation")])
NEEDY = """\
policies:
  needy:
    match: a=b
    action: restart
    escalate:
      - action: notify
        with: {through: alertmanager}
      - action: http
        with: {url: "http://h", header-file: SECRET}
    verify: {query: up == 1}
"""


def settings(**options: object) -> RemediationSettings:
    given = {
        f"remediation.{key.replace('_', '-')}": Given(str(value), "test") for key, value in options.items()
    }
    return resolve(SCHEMA, [given]).of(RemediationSettings)


def test_what_comes_with_the_program_needs_no_option() -> None:
    check(settings())


def test_a_wrong_file_is_refused_with_its_lines(tmp_path: Path) -> None:
    file = tmp_path / "policies.yml"
    file.write_text("policies:\n  p:\n    match: a=b\n    action: restrat\n")
    with pytest.raises(ConfigError, match=r"policies\.yml:4: .* did you mean 'restart'\?"):
        check(settings(policies=file))


def test_what_a_policy_needs_has_to_be_there(tmp_path: Path) -> None:
    file, secret = tmp_path / "policies.yml", tmp_path / "secret"
    file.write_text(NEEDY.replace("SECRET", str(secret)))
    with pytest.raises(ConfigError) as raised:
        check(settings(policies=file))
    assert [str(problem) for problem in raised.value.problems] == [
        f"{file}: policies.needy.verify.query needs the option remediation.prometheus.url",
        f"{file}: policies.needy: notify through alertmanager needs the option remediation.alertmanager.url",
        f"{secret}: cannot be read: No such file or directory",
    ]
    secret.write_text("Bearer x\n")
    urls = {
        "prometheus.url": Given("http://p:9090", "test"),
        "alertmanager.url": Given("http://a:9093", "test"),
    }
    layer = {f"remediation.{key}": value for key, value in urls.items()}
    layer["remediation.policies"] = Given(str(file), "test")
    found = policies_for(resolve(SCHEMA, [layer]).of(RemediationSettings))
    assert [policy.name for policy in found.policies] == ["needy"]


def test_credentials_have_to_be_there_and_to_have_an_address(tmp_path: Path) -> None:
    key = tmp_path / "key"
    with pytest.raises(ConfigError, match=r"grafana\.credentials-file: .* remediation\.grafana\.url only"):
        check(settings(**{"grafana.credentials-file": key}))
    options = {"prometheus.url": "http://p:9090", "prometheus.credentials-file": key}
    with pytest.raises(ConfigError, match="key: cannot be read"):
        check(settings(**options))
    key.write_text("Bearer x")
    check(settings(**options))


def test_addresses_that_anybody_could_use_are_found() -> None:
    with pytest.raises(ConfigError, match=r"0\.0\.0\.0:9419"):
        check(settings(**{"web.listen-address": "0.0.0.0:9419"}))


def test_who_may_raise_alerts_is_judged_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="token"):
        check(settings(bearer_token_file=tmp_path / "token"))
