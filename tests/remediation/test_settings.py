from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from compose_agent.address import Address
from compose_agent.config import Given, Schema, Section, resolve
from compose_agent.errors import ConfigError
from remediation.policies.model import Rate
from remediation.settings import RemediationSettings

SCHEMA = Schema([Section("remediation", RemediationSettings, "Remediation")])


def settings(**given: object) -> RemediationSettings:
    """Return the settings with these keys below ``remediation.``, given in a file."""
    layer = {f"remediation.{key}": Given(value, "f.yml:1") for key, value in given.items()}
    return resolve(SCHEMA, [layer]).of(RemediationSettings)


def test_without_configuration_it_acts_for_this_host_alone_and_within_bounds() -> None:
    found = settings()
    assert found.listen_addresses == (Address("127.0.0.1", 9419),)
    assert (found.insecure, found.dry_run, found.actor, found.policies) == (False, False, None, None)
    assert (found.bearer_token_file, found.hmac_key_file, found.allow_from) == (None, None, ())
    assert (found.alertmanager_url, found.prometheus_url) == (None, None)
    assert (found.body_limit, found.rate_limit) == (4 << 20, Rate(20_000, 60.0))
    assert (found.budget_host, found.budget_global) == (Rate(20, 600.0), Rate(40, 600.0))
    assert (found.freeze_after, found.workers) == (Rate(60, 600.0), 4)
    assert found.deployment_quiet == 60.0


def test_every_option_is_read() -> None:
    found = settings(
        **{
            "web.listen-address": [":9419", "127.0.0.1:9420"],
            "insecure": "yes",
            "bearer-token-file": "/run/secrets/token",
            "hmac-key-file": "/run/secrets/key",
            "allow-from": ["10.1.0.0/16", "fd00::/8", "192.0.2.7"],
            "body-limit": "1MiB",
            "rate-limit": "100/1s",
            "policies": "/etc/compose-agent/remediation.yml",
            "alertmanager.url": "https://am.example.org:9093/prefix/",
            "prometheus.url": "http://[::1]:9090",
            "dry-run": "true",
            "budget.host": "1/1m",
            "budget.global": "2/1m",
            "freeze-after": "3/1m",
            "workers": "8",
            "deployment-quiet": "0",
            "actor": "/run/compose-agent/act.sock",
        }
    )
    assert len(found.listen_addresses) == 2
    assert found.bearer_token_file == Path("/run/secrets/token")
    assert found.allow_from == tuple(map(ipaddress.ip_network, ("10.1.0.0/16", "fd00::/8", "192.0.2.7/32")))
    assert found.alertmanager_url == "https://am.example.org:9093/prefix"
    assert found.prometheus_url == "http://[::1]:9090"
    assert (found.budget_host, found.budget_global, found.freeze_after) == (
        Rate(1, 60.0),
        Rate(2, 60.0),
        Rate(3, 60.0),
    )
    assert (found.insecure, found.dry_run, found.workers, found.deployment_quiet) == (True, True, 8, 0.0)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("allow-from", "10.1.2.3/16", "an address within a network, did you mean '10.1.0.0/16'?"),
        ("allow-from", "example.org", "expected an address or a network such as 10.1.0.0/16"),
        ("alertmanager.url", "alertmanager:9093", "expected a URL such as http://alertmanager:9093"),
        ("alertmanager.url", "http://", "expected a URL"),
        ("alertmanager.url", "http://a b", "expected a URL"),
        ("alertmanager.url", "http://host:99999", "expected a URL"),
        ("alertmanager.url", "http://host:0", "expected a URL"),
        ("alertmanager.url", "http://host/?x=1", "expected a URL"),
        ("alertmanager.url", "http://u:s3cret@host", "expected a URL without user and password"),
        ("prometheus.url", "unix:///run/x.sock", "expected a URL"),
        ("budget.host", "20", "expected a rate such as 20/10m"),
        ("workers", "0", "expected a whole number from 1 to 64"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(key: str, value: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(**{key: value})
    (problem,) = caught.value.problems
    assert problem.where == "f.yml:1"
    assert said in problem.what
    assert "s3cret" not in problem.what
