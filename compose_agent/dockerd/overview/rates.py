"""Rates out of two readings of counters."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from compose_agent.dockerd.model import Container
from compose_agent.dockerd.usage import DeviceIO, InterfaceIO, Sample
from compose_agent.dockerd.usage.host import HostSample, busy_ratio

# An earlier reading this old makes a steady rate: the kernel counts CPU in ticks of 10 ms. A younger one is
# passed over, so that many viewers do not shorten each other's interval.
BASE_SECONDS = 1.0
# The least interval that still tells something; whoever looks first waits this long.
FIRST_SECONDS = 0.5
# A rate over more than this is no longer what happens now.
OLDEST_BASE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Reading:
    """Counters of all containers and of the host at one moment.

    ``at`` is monotonic time. ``runs`` tells one run of a container from the next, by container id.
    """

    at: float
    runs: Mapping[str, tuple[int, float | None]]
    samples: Mapping[str, Sample]
    host: HostSample | None


class Rates(NamedTuple):
    """What one container does each second: cores, then bytes. None where it is unknown."""

    cpu_cores: float | None = None
    receive_bytes: float | None = None
    transmit_bytes: float | None = None
    read_bytes: float | None = None
    write_bytes: float | None = None


UNKNOWN = Rates()


class RateMeter:
    """Keeps the readings of the last seconds and finds the one to compare with. Not thread-safe."""

    def __init__(self) -> None:
        self._kept: deque[Reading] = deque()

    def keep(self, reading: Reading) -> None:
        """Remember a reading, unless one was remembered a moment ago."""
        self._forget_before(reading.at - OLDEST_BASE_SECONDS)
        if not self._kept or reading.at - self._kept[-1].at >= FIRST_SECONDS:
            self._kept.append(reading)

    def base(self, now: float) -> Reading | None:
        """Return what a reading at ``now`` is compared with; None when a first one has to be taken."""
        self._forget_before(now - OLDEST_BASE_SECONDS)
        steady = (each for each in reversed(self._kept) if now - each.at >= BASE_SECONDS)
        oldest = next((each for each in self._kept if now - each.at >= FIRST_SECONDS), None)
        return next(steady, oldest)

    def _forget_before(self, moment: float) -> None:
        while self._kept and self._kept[0].at < moment:
            self._kept.popleft()


def reading(
    at: float, containers: Iterable[Container], samples: Mapping[str, Sample], host: HostSample | None
) -> Reading:
    """Return the reading that ``samples`` of these containers make."""
    return Reading(at, {c.id: (c.pid, c.started_at) for c in containers if c.alive}, samples, host)


def rates_between(before: Reading, after: Reading) -> dict[str, Rates]:
    """Return rates by container id, for containers that ran on from one reading to the other."""
    seconds = after.at - before.at
    if seconds <= 0:
        return {}
    return {
        each: _rates(before.samples[each], sample, seconds)
        for each, sample in after.samples.items()
        if each in before.samples and before.runs.get(each) == after.runs.get(each)
    }


def host_busy_between(before: Reading, after: Reading) -> float | None:
    """Return the share of the host's CPU time in use."""
    if before.host is None or after.host is None:
        return None
    return busy_ratio(before.host.cpu_seconds, after.host.cpu_seconds)


def _rates(before: Sample, after: Sample, seconds: float) -> Rates:
    received, sent = _network(before.networks, after.networks)
    read, written = _devices(before.devices, after.devices)
    return Rates(
        _rate(after.cpu_seconds - before.cpu_seconds, seconds),
        _rate(received, seconds),
        _rate(sent, seconds),
        _rate(read, seconds),
        _rate(written, seconds),
    )


def _rate(growth: float | None, seconds: float) -> float | None:
    # A counter that went back was reset: nobody knows what happened in between.
    return None if growth is None or growth < 0 else growth / seconds


_Growth = tuple[int | None, int | None]


def _network(before: Mapping[str, InterfaceIO] | None, after: Mapping[str, InterfaceIO] | None) -> _Growth:
    if before is None or after is None:
        return None, None
    return _grown(
        {name: (io.receive_bytes, io.transmit_bytes) for name, io in before.items()},
        {name: (io.receive_bytes, io.transmit_bytes) for name, io in after.items()},
    )


def _devices(before: Mapping[str, DeviceIO], after: Mapping[str, DeviceIO]) -> _Growth:
    if not after:
        return None, None
    return _grown(
        {name: (io.read_bytes, io.write_bytes) for name, io in before.items()},
        {name: (io.read_bytes, io.write_bytes) for name, io in after.items()},
    )


def _grown(before: Mapping[str, tuple[int, int]], after: Mapping[str, tuple[int, int]]) -> _Growth:
    """Return the growth of both counters over all names: a new one began at 0, a vanished one is left out."""
    pairs = [(before.get(name, (0, 0)), now) for name, now in after.items()]
    first, second = ([now[n] - then[n] for then, now in pairs] for n in (0, 1))
    return _sum_of_growth(first), _sum_of_growth(second)


def _sum_of_growth(differences: list[int]) -> int | None:
    return None if any(each < 0 for each in differences) else sum(differences)
