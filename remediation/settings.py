"""The remediation role's options."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from compose_agent.address import Address
from compose_agent.config import kinds, option
from compose_agent.config.kinds import Detail, Kind
from compose_agent.web.options import listen_addresses, web_config_file
from remediation.policies.model import Rate
from remediation.rates import rate

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
# Each waits for a container to stop; more of them at once is an outage of our own making.
_MOST_WORKERS = 64


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        if "host bits" in str(error):
            meant = ipaddress.ip_network(text, strict=False)
            raise Detail(f"'{text}' is an address within a network, did you mean '{meant}'?") from error
        raise


def _http_url(text: str) -> str:
    url = urlsplit(text)
    if url.scheme not in {"http", "https"} or not url.hostname or not text.isascii() or " " in text:
        raise ValueError(text)
    if url.username is not None or url.password is not None:
        raise Detail("expected a URL without user and password: they would be shown with the configuration")
    if url.query or url.fragment or url.port == 0:  # asking for the port raises ValueError for a wrong one
        raise ValueError(text)
    return text.rstrip("/")


network = Kind("network", "an address or a network such as 10.1.0.0/16", _network)
http_url = Kind("URL", "a URL such as http://alertmanager:9093", _http_url)


def _credentials(who: str) -> str:
    return (
        f"File with one line, the value of the header Authorization for {who}, such as 'Bearer …' or "
        "'Basic …'. Read again whenever it changes."
    )


@dataclass(frozen=True, slots=True)
class RemediationSettings:
    """Who may raise alerts, what is done about them, and how much of it at most."""

    listen_addresses: tuple[Address, ...] = listen_addresses("127.0.0.1:9419", "the webhook and the page")
    web_config_file: Path | None = web_config_file()
    insecure: bool = option(
        "insecure",
        kinds.boolean,
        "false",
        "Take alerts from anybody, and let anybody press every button of the page, also on addresses that "
        "other hosts can reach.",
    )
    bearer_token_file: Path | None = option(
        "bearer-token-file",
        kinds.path,
        None,
        "File with the bearer tokens that let alerts in, one a line, so that one can be replaced by another. "
        "Read again whenever it changes.",
    )
    hmac_key_file: Path | None = option(
        "hmac-key-file",
        kinds.path,
        None,
        "File with the keys of HMAC-SHA256 signatures that let alerts in, one a line. Read again whenever it "
        "changes.",
    )
    allow_from: tuple[Network, ...] = option(
        "allow-from",
        network,
        None,
        "Networks that alerts may come from, such as 10.1.0.0/16; repeatable. Unset: any.",
        multiple=True,
    )
    body_limit: int = option(
        "body-limit", kinds.size, "4MiB", "The largest notification that is read; a larger one is refused."
    )
    rate_limit: Rate = option(
        "rate-limit",
        rate,
        "20000/1m",
        "How many notifications are taken: so many at once, and then evenly. What is beyond comes again with "
        "Alertmanager's group_interval only.",
    )
    policies: Path | None = option(
        "policies", kinds.path, None, "File of the policies. Unset: those that come with the program."
    )
    alertmanager_url: str | None = option(
        "alertmanager.url",
        http_url,
        None,
        "Where Alertmanager is asked for silences and for alerts that it left out of a notification, and "
        "where own alerts are raised. Unset: none of it is done.",
    )
    alertmanager_credentials_file: Path | None = option(
        "alertmanager.credentials-file", kinds.path, None, _credentials("Alertmanager")
    )
    prometheus_url: str | None = option(
        "prometheus.url", http_url, None, "Where queries of policies go. Unset: such policies are refused."
    )
    prometheus_credentials_file: Path | None = option(
        "prometheus.credentials-file", kinds.path, None, _credentials("Prometheus")
    )
    grafana_url: str | None = option(
        "grafana.url",
        http_url,
        None,
        "Grafana, which gets an annotation for each action that was done or has failed. Unset: it gets none.",
    )
    grafana_credentials_file: Path | None = option(
        "grafana.credentials-file", kinds.path, None, _credentials("Grafana")
    )
    notify_given_up: bool = option(
        "notify-given-up",
        kinds.boolean,
        "true",
        "Raise the alert ComposeAgentGaveUp at remediation.alertmanager.url when nothing of a policy's "
        "ladder has helped. It resolves when the episode ends.",
    )
    dry_run: bool = option(
        "dry-run", kinds.boolean, "false", "Decide and write down, but do nothing, whatever policies say."
    )
    budget_host: Rate = option(
        "budget.host", rate, "20/10m", "The most that is done to containers and services of this host."
    )
    budget_global: Rate = option(
        "budget.global", rate, "40/10m", "The most that is done at all, calls to others included."
    )
    freeze_after: Rate = option(
        "freeze-after",
        rate,
        "60/10m",
        "When more actions than this are asked for, all remediation stops until 'compose-agent thaw'.",
    )
    workers: int = option(
        "workers", kinds.whole_number(1, _MOST_WORKERS), "4", "How many actions are performed at once."
    )
    deployment_quiet: float = option(
        "deployment-quiet",
        kinds.duration,
        "60s",
        "How long nothing is done to a project after somebody else has created, removed or renamed one of "
        "its containers.",
    )
    actor: Path | None = option(
        "actor",
        kinds.path,
        None,
        "The broker's act.sock, through which actions are performed. Unset: by this process itself.",
        restart=True,
    )
