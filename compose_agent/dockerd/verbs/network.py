"""Take a container off a network, and put it there again: how a replica is kept out of Docker's DNS."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.verbs.containers import facts_of, gone, look, must_look
from compose_agent.dockerd.verbs.contract import Done, Facts, Failed, NeverSent, Observation, Refused
from compose_agent.dockerd.verbs.endpoints import endpoint_config, endpoints, network_of
from compose_agent.dockerd.verbs.model import VerbRequest
from compose_agent.dockerd.verbs.optin import RESTART


class NetworkDisconnect:
    """Arguments: ``network``, its name or id.

    The outcome's details have ``network``, ``aliases`` and ``address``: the arguments of ``network_connect``
    that undo it.
    """

    name = "network_disconnect"
    action = RESTART

    def prepare(self, client: EngineClient, request: VerbRequest) -> Facts:
        """Note its place there; raises Refused when it has none."""
        seen = must_look(client, request)
        wanted = _network(request)
        network = network_of(seen, wanted)
        if not network:
            raise Refused(f"{seen.name} is not on the network {wanted}")
        config = endpoint_config(seen, network)
        address = str((config.get("IPAMConfig") or {}).get("IPv4Address") or "")
        aliases = config.get("Aliases", [])
        return facts_of(client, seen, network=network, aliases=aliases, address=address)

    def call(self, client: EngineClient, request: VerbRequest, facts: Facts) -> None:
        """Have the Engine take it off."""
        client.network_disconnect(facts["network"], facts["id"])

    def observe(self, client: EngineClient, request: VerbRequest, facts: Facts) -> Observation:
        """Look whether it is off."""
        seen = look(client, facts["id"])
        if seen is None:
            return Failed(gone())
        if facts["network"] in endpoints(seen):
            return NeverSent()
        return Done({key: facts[key] for key in ("network", "aliases", "address")})


class NetworkConnect:
    """Arguments: ``network``; ``aliases`` (names there) and ``address`` (a fixed IPv4 address) as it had."""

    name = "network_connect"
    action = RESTART

    def prepare(self, client: EngineClient, request: VerbRequest) -> Facts:
        """Look whether it can be there; raises Refused, also when it is there under other names."""
        seen = must_look(client, request)
        network, endpoint = _network(request), _endpoint(request)
        mode = str((seen.raw.get("HostConfig") or {}).get("NetworkMode") or "")
        if mode in ("host", "none") or mode.startswith("container:"):
            raise Refused(f"{seen.name} has no network of its own (network_mode {mode})")
        if known := network_of(seen, network):
            missing = set(endpoint.get("Aliases", ())) - set(endpoint_config(seen, known).get("Aliases", ()))
            if missing:
                raise Refused(
                    f"{seen.name} is on {known} already, without the names {', '.join(sorted(missing))}"
                )
        return facts_of(client, seen, network=network, endpoint=endpoint)

    def call(self, client: EngineClient, request: VerbRequest, facts: Facts) -> None:
        """Have the Engine put it there."""
        client.network_connect(facts["network"], facts["id"], facts["endpoint"])

    def observe(self, client: EngineClient, request: VerbRequest, facts: Facts) -> Observation:
        """Look whether it is there."""
        seen = look(client, facts["id"])
        if seen is None:
            return Failed(gone())
        network = network_of(seen, facts["network"])
        return Done({"network": network}) if network else NeverSent()


def _network(request: VerbRequest) -> str:
    network = request.arguments.get("network")
    if not isinstance(network, str) or not network:
        raise Refused("the argument 'network' names no network")
    return network


def _endpoint(request: VerbRequest) -> dict[str, Any]:
    aliases = request.arguments.get("aliases") or []
    if not isinstance(aliases, list) or not all(isinstance(alias, str) and alias for alias in aliases):
        raise Refused("the argument 'aliases' is no list of names")
    endpoint: dict[str, Any] = {"Aliases": aliases} if aliases else {}
    address = request.arguments.get("address") or ""
    if address:
        try:
            endpoint["IPAMConfig"] = {"IPv4Address": str(ip_address(str(address)))}
        except ValueError as error:
            raise Refused(f"'{address}' is no address") from error
    return endpoint
