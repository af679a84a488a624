"""Addresses and a bridge for an Engine that shares the host's network.

Only such an Engine can publish ports on the host's loopback, or build images that fetch packages.
Each one gets a /20 of its own: its default bridge in the first half, the networks that its users
create in the second.  It writes no packet filter rule and does not switch on forwarding, so
published ports go through docker-proxy, and containers reach nothing beyond the host.

Traps this module knows about:

- An Engine of the host's own, also one that has gone, leaves a packet filter that drops what it does not
  know, and has bridged packets pass it: containers of one network would not reach each other.  So one
  rule lets a pool's addresses speak among themselves; it goes with the pool.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import subprocess
from pathlib import Path
from typing import Any

from lab import LabError

# A corner of the private range that home routers, VPNs and Docker's own defaults leave alone.
_RANGE = ipaddress.IPv4Network("10.213.0.0/16")
_POOL_PREFIX = 20
_NETWORK_PREFIX = 26
_TIMEOUT_S = 10


def claim(record: Path) -> dict[str, Any]:
    """Make a bridge in a free pool, and return the dockerd settings to use it.

    The pool is written into ``record``, from which ``release`` knows what to remove.  Raises
    LabError when no pool is free.
    """
    for number, pool in enumerate(_RANGE.subnets(new_prefix=_POOL_PREFIX)):
        bridge = f"lab-engine{number}"
        # The kernel lets exactly one of many callers create a link of a given name.
        if _is_routed(pool) or _ip("link", "add", bridge, "type", "bridge").returncode != 0:
            continue
        record.write_text(str(pool), encoding="utf-8")
        first, second = pool.subnets(prefixlen_diff=1)
        _ip("address", "add", f"{first[1]}/{first.prefixlen}", "dev", bridge)
        _ip("link", "set", bridge, "up")
        _pass("-I", pool)
        return {
            "bridge": bridge,
            "default-address-pools": [{"base": str(second), "size": _NETWORK_PREFIX}],
            "iptables": False,
            "ip6tables": False,
            "ip-forward": False,
            "ip-masq": False,
        }
    raise LabError(f"no addresses are free in {_RANGE}", remedy="stop other private Engines")


def release(record: Path) -> None:
    """Remove the bridges with an address in the recorded pool: the claimed one and those of networks."""
    with contextlib.suppress(FileNotFoundError):
        pool = ipaddress.IPv4Network(record.read_text(encoding="utf-8"))
        for link in json.loads(_ip("-json", "address", "show", "type", "bridge").stdout or "[]"):
            addresses = [info["local"] for info in link.get("addr_info", []) if info["family"] == "inet"]
            if any(ipaddress.IPv4Address(address) in pool for address in addresses):
                _ip("link", "delete", link["ifname"])
        _pass("-D", pool)


def _pass(deed: str, pool: ipaddress.IPv4Network) -> None:
    """Put in or take away the rule for the addresses of a pool; one that is not there cannot be taken."""
    within = ("-s", str(pool), "-d", str(pool))
    _run("iptables", "-w", deed, "FORWARD", *within, "-j", "ACCEPT")


def _is_routed(pool: ipaddress.IPv4Network) -> bool:
    routes = json.loads(_ip("-json", "-4", "route", "show", "table", "all").stdout or "[]")
    targets = (route["dst"] for route in routes if route["dst"] != "default")
    return any(pool.overlaps(ipaddress.IPv4Network(target, strict=False)) for target in targets)


def _ip(*arguments: str) -> subprocess.CompletedProcess[str]:
    return _run("ip", *arguments)


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
