"""Who gets in and how much is taken, as the configuration says."""

from __future__ import annotations

from dataclasses import dataclass

from compose_agent.errors import ConfigError, Problem
from compose_agent.web.ratelimit import TokenBucket
from compose_agent.web.webconfig import RateLimit, WebConfig
from remediation.receiver.auth import Access, is_loopback, proves, require_proof
from remediation.receiver.secretfile import SecretFile
from remediation.receiver.signatures import Replays, Signatures
from remediation.settings import RemediationSettings


@dataclass(frozen=True, slots=True)
class Doors:
    """What a new configuration replaces as a whole; ``body_limit`` in bytes."""

    access: Access
    body_limit: int
    bucket: TokenBucket | None = None


def doors_of(settings: RemediationSettings, web: WebConfig | None, replays: Replays) -> Doors:
    """Return what the settings say; ``web`` is the web configuration file, ``replays`` outlives a reload.

    Raises ConfigError for secrets that cannot be read, and for addresses that anybody could use.
    """
    proof = bool(settings.bearer_token_file or settings.hmac_key_file) or proves(web)
    require_proof(settings.listen_addresses, insecure=settings.insecure, proof=proof)
    if settings.bearer_token_file and web and web.users:
        what = (
            "bearer tokens and basic_auth_users both come in the header Authorization, expected one of them"
        )
        raise ConfigError(Problem("remediation.bearer-token-file", what))
    reachable = not all(map(is_loopback, settings.listen_addresses))
    limit = settings.rate_limit
    return Doors(
        Access(
            allowed=settings.allow_from,
            tokens=SecretFile(settings.bearer_token_file).current if settings.bearer_token_file else None,
            signatures=_signatures(settings, replays),
            required=reachable and not settings.insecure,
        ),
        settings.body_limit,
        TokenBucket(RateLimit(limit.seconds / limit.count, limit.count)),
    )


def _signatures(settings: RemediationSettings, replays: Replays) -> Signatures | None:
    if settings.hmac_key_file is None:
        return None
    return Signatures(SecretFile(settings.hmac_key_file).current, replays)
