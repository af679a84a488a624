"""Network counters of running containers, for each interface of their own."""

from collections.abc import Mapping

from compose_agent.dockerd.usage import InterfaceIO, Sample
from exporter.families import Family, UsageCollector, Values

_NOTHING: Mapping[str, InterfaceIO] = {}


def values(sample: Sample) -> Values:
    """Return one value for each family, by interface."""
    interfaces = sample.networks or _NOTHING
    return [{name: counters[n] for name, counters in interfaces.items()} for n in range(len(FAMILIES))]


def _family(direction: str, what: str, text: str) -> Family:
    return Family(f"docker_container_network_{direction}_{what}_total", "counter", text, ("interface",))


FAMILIES = (
    _family(
        "receive",
        "bytes",
        "Bytes received; absent for containers that share another's network or the host's.",
    ),
    _family("receive", "packets", "Packets received."),
    _family("receive", "errors", "Errors while receiving."),
    _family("receive", "dropped", "Packets dropped while receiving."),
    _family(
        "transmit", "bytes", "Bytes sent; absent for containers that share another's network or the host's."
    ),
    _family("transmit", "packets", "Packets sent."),
    _family("transmit", "errors", "Errors while sending."),
    _family("transmit", "dropped", "Packets dropped while sending."),
)

COLLECTOR = UsageCollector(
    name="container-network", help="network traffic of containers", families=FAMILIES, make=lambda _: values
)
