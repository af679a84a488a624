"""Where scaling a service would not be right, each with a sentence that says why and what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from compose_agent.dockerd.model import PROJECT_LABEL, SERVICE_LABEL
from compose_agent.dockerd.verbs.compose.siblings import (
    SWARM_LABEL,
    Json,
    Replica,
    Service,
    is_one_off,
    labels_of,
)

# A container that was made and not started so recently is one that somebody else is about to start.
STARTING_SECONDS = 60.0
# Named in a sentence; more would not help a person.
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason against it. ``compose_can``: with the project's files Compose could still do it."""

    sentence: str
    compose_can: bool = False


def of_service(service: Service, now: float) -> list[Refusal]:
    """Return what speaks against changing the number of replicas at all; ``now`` is the Engine's time."""
    return [
        *_nothing_there(service),
        *_of_swarm(service),
        *_in_change(service),
        *_being_started(service, now),
    ]


def of_growth(service: Service, injected: Sequence[str] | None) -> list[Refusal]:
    """Return what speaks against a clone of the service's healthy replica.

    ``injected`` are files that Compose has put into it, None when that cannot be told.
    """
    source = service.source
    if source is None:
        return [*_mixed(service), _no_source(service)]
    return [
        *_mixed(service),
        *_name(service, source),
        *_network_mode(service, source),
        *_carry_others(service, service.replicas),
        *_ports(source),
        *_addresses(service, source),
        *_mac(service, source),
        *_volumes_from(source),
        *_auto_removed(service, source),
        *_injected(service, injected),
    ]


def of_shrinking(service: Service, to: int) -> list[Refusal]:
    """Return what speaks against removing the replicas with the highest numbers until ``to`` are left."""
    staying, going = service.replicas[:to], service.replicas[to:]
    found = list(_carry_others(service, going))
    if any(each.healthy for each in going) and not any(each.healthy for each in staying):
        found.append(_last_healthy(service, staying))
    return found


def _nothing_there(service: Service) -> Iterator[Refusal]:
    remedy = f"start the service with 'docker compose up -d {service.name}' first"
    if service.replicas:
        return
    if any(_is_one_off_of(service, each) for each in service.neighbours):
        yield Refusal(f"{service.target} has only one-off containers of 'docker compose run': {remedy}")
    else:
        yield Refusal(f"there is no container of the service {service.target} to copy: {remedy}")


def _of_swarm(service: Service) -> Iterator[Refusal]:
    for each in service.replicas:
        if swarm := each.container.labels.get(SWARM_LABEL):
            yield Refusal(
                f"{each.name} belongs to Swarm, which would replace or remove what is changed beside it: "
                f"scale the Swarm service {swarm} instead"
            )
            return


def _in_change(service: Service) -> Iterator[Refusal]:
    changing = [each.name for each in service.replicas if each.leaving or each.being_replaced]
    if changing:
        yield Refusal(
            f"{changing[0]} is being removed or replaced, so somebody is at work on {service.target}: "
            "ask again when that is over"
        )
    elif any(_is_leaving(service, each) for each in service.neighbours):
        yield Refusal(
            f"the project {service.project} is being taken down: ask again when that is over, if the service "
            "is still there then"
        )


def _being_started(service: Service, now: float) -> Iterator[Refusal]:
    for each in service.replicas:
        age = now - (each.container.created_at or 0.0)
        if not (each.was_started or each.request or each.error) and age < STARTING_SECONDS:
            yield Refusal(
                f"{each.name} was made a moment ago and is not started yet, so somebody is at work on "
                f"{service.target}: ask again in a minute"
            )
            return


def _mixed(service: Service) -> Iterator[Refusal]:
    if len({each.config_hash for each in service.replicas}) > 1:
        yield Refusal(
            f"the replicas of {service.target} were made from different versions of its Compose file, and "
            f"which of them is meant cannot be told: run 'docker compose up -d {service.name}' first"
        )


def _no_source(service: Service) -> Refusal:
    states = [f"{each.name} is {_state(each)}" for each in service.replicas[:_SHOWN]]
    return Refusal(
        f"{service.target} has no healthy replica to copy ({', '.join(states)}), and more of what does not "
        "work help nobody: repair or restart it first"
    )


def _state(replica: Replica) -> str:
    container = replica.container
    return container.state if container.health == "none" else container.health


def _name(service: Service, source: Replica) -> Iterator[Refusal]:
    forms = {f"{service.project}{mark}{service.name}{mark}{source.number}" for mark in "-_"}
    if source.name not in forms:
        yield Refusal(
            f"{source.name} does not have a name that Compose gives, and a name can be had only once: "
            f"remove container_name from the service {service.name}, or undo a rename"
        )


def _network_mode(service: Service, source: Replica) -> Iterator[Refusal]:
    mode = source.container.network_mode
    remedy = f"give the service {service.name} networks instead of network_mode"
    if mode.startswith("container:"):
        yield Refusal(
            f"{source.name} has no network of its own but that of another container, in which two replicas "
            f"would be in each other's way: {remedy}"
        )
    elif mode == "host":
        yield Refusal(
            f"{source.name} is on the host's network, where two replicas cannot listen on the same port: "
            f"{remedy}"
        )


def _carry_others(service: Service, replicas: Sequence[Replica]) -> Iterator[Refusal]:
    for each in replicas:
        if sharing := service.sharing_network_of(each):
            yield Refusal(
                f"{', '.join(sharing[:_SHOWN])} would lose or mistake the network, which is that of "
                f"{each.name} (network_mode: service:{service.name}): change the number in the Compose file, "
                "and Compose takes care of both"
            )


def _ports(source: Replica) -> Iterator[Refusal]:
    for port, bindings in (source.raw["HostConfig"].get("PortBindings") or {}).items():
        for wanted in (str(bound.get("HostPort") or "") for bound in bindings or ()):
            if wanted not in ("", "0") and not _is_range(wanted):
                yield Refusal(
                    f"{source.name} publishes {port} on the host's port {wanted}, which only one container "
                    "can have: publish a range of ports, or none and put a proxy before it"
                )


def _is_range(ports: str) -> bool:
    first, dash, last = ports.partition("-")
    return bool(dash) and first != last


def _addresses(service: Service, source: Replica) -> Iterator[Refusal]:
    networks = (source.raw.get("NetworkSettings") or {}).get("Networks") or {}
    for network, endpoint in networks.items():
        wished = (endpoint or {}).get("IPAMConfig") or {}
        fixed = [wished.get("IPv4Address"), wished.get("IPv6Address"), *(wished.get("LinkLocalIPs") or ())]
        for address in filter(None, fixed):
            yield Refusal(
                f"{source.name} has the fixed address {address} in {network}, which only one container can "
                f"have: remove the address from the service {service.name}; others find it by name"
            )


def _mac(service: Service, source: Replica) -> Iterator[Refusal]:
    if mac := source.raw["Config"].get("MacAddress"):
        yield Refusal(
            f"{source.name} has the fixed MAC address {mac}, and two of them in a network do not work: "
            f"remove mac_address from the service {service.name}"
        )


def _volumes_from(source: Replica) -> Iterator[Refusal]:
    if others := source.raw["HostConfig"].get("VolumesFrom"):
        yield Refusal(
            f"{source.name} has the volumes of another container ({str(others[0])[:12]}), and which of them "
            "it may share cannot be told: name the volumes in the Compose file instead of volumes_from"
        )


def _auto_removed(service: Service, source: Replica) -> Iterator[Refusal]:
    if source.raw["HostConfig"].get("AutoRemove"):
        yield Refusal(
            f"{source.name} is removed as soon as it ends, as no replica of Compose is: start the service "
            f"with 'docker compose up -d {service.name}'"
        )


def _injected(service: Service, injected: Sequence[str] | None) -> Iterator[Refusal]:
    if injected is None:
        yield Refusal(
            f"{service.target} writes so many files into its own layer that it cannot be told whether "
            "Compose has put secrets or configs between them: keep what it writes in a volume or a tmpfs",
            compose_can=True,
        )
    elif injected:
        yield Refusal(
            f"Compose has put {', '.join(injected[:_SHOWN])} into the replicas of {service.target}, and a "
            "copy would lack that: take the secret or config from a file, so that it is mounted",
            compose_can=True,
        )


def _last_healthy(service: Service, staying: Sequence[Replica]) -> Refusal:
    names = ", ".join(each.name for each in staying[:_SHOWN])
    return Refusal(
        f"the last healthy replica of {service.target} would be removed, because those with lower numbers "
        f"stay ({names}): repair or remove these first"
    )


def _is_leaving(service: Service, listed: Json) -> bool:
    return labels_of(listed).get(PROJECT_LABEL) == service.project and listed.get("State") == "removing"


def _is_one_off_of(service: Service, listed: Json) -> bool:
    labels = labels_of(listed)
    same = (labels.get(PROJECT_LABEL), labels.get(SERVICE_LABEL)) == (service.project, service.name)
    return same and is_one_off(labels)
