"""Who looks at the page, and what they may do there.

==================================================  ========  ==========  ====================
who                                                 may look  may freeze  may thaw, approve, …
==================================================  ========  ==========  ====================
a user or a client certificate of the web file      yes       yes         yes
anybody, with ``remediation.insecure``              yes       yes         yes
anybody, while only loopback addresses are served   yes       yes         no
anybody else                                        no        no          no
==================================================  ========  ==========  ====================

To freeze is always safe, to let something begin is not: whatever runs on a host reaches its loopback
addresses. So does a page in a browser whose name its owner has led to 127.0.0.1 (DNS rebinding): strangers
have to ask for the address by number or as localhost.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit
from wsgiref.types import WSGIEnvironment

from remediation.receiver.auth import is_loopback, proved_by_web
from remediation.settings import RemediationSettings

_LOG_IN = (
    "name users (basic_auth_users) or an authority of client certificates in remediation.web.config.file"
)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the configuration says: whether others reach the page, and whether anybody is trusted."""

    reachable: bool
    insecure: bool

    @classmethod
    def of(cls, settings: RemediationSettings) -> Rules:
        """Return the rules of a configuration."""
        return cls(not all(map(is_loopback, settings.listen_addresses)), settings.insecure)


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks, as the audit names them, and what they may; ``missing`` says what the rest would take."""

    name: str
    may_look: bool
    may_freeze: bool
    may_decide: bool
    missing: str = ""


def person_of(environ: WSGIEnvironment, rules: Rules) -> Person:
    """Return who has sent a request."""
    if name := _proved_name(environ):
        return Person(name, may_look=True, may_freeze=True, may_decide=True)
    remote = str(environ.get("REMOTE_ADDR", ""))
    name = f"somebody at {remote}" if remote else "somebody on this host"
    if rules.insecure:
        return Person(name, may_look=True, may_freeze=True, may_decide=True)
    if missing := _shut_out(environ, rules):
        return Person(name, may_look=False, may_freeze=False, may_decide=False, missing=missing)
    missing = f"who you are is not known here: {_LOG_IN}"
    return Person(name, may_look=True, may_freeze=True, may_decide=False, missing=missing)


def _proved_name(environ: WSGIEnvironment) -> str:
    """Return the name that the web server has proof of, empty for none."""
    if not proved_by_web(environ):
        return ""
    names = (environ.get(key) for key in ("REMOTE_USER", "SSL_CLIENT_S_DN_CN", "SSL_CLIENT_S_DN"))
    return str(next(filter(None, names), "the owner of a client certificate"))


def _shut_out(environ: WSGIEnvironment, rules: Rules) -> str:
    """Return why a stranger does not even see the page, empty if they do."""
    if rules.reachable:
        return f"other hosts reach this address, so the page is for those who are known: {_LOG_IN}"
    host = str(environ.get("HTTP_HOST", ""))
    if not _is_number_or_localhost(host):
        return (
            f"somebody who is not known has to ask for this page as localhost or 127.0.0.1, not as '{host}', "
            f"because a foreign page in your browser could do that too; or {_LOG_IN}"
        )
    return ""


def _is_number_or_localhost(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        ipaddress.ip_address(name)
    except ValueError:
        return host.partition(":")[0].lower() == "localhost"
    return True
