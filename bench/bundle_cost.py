"""What the bundle itself costs: CPU and memory of each service, series, samples and their disk.

Brings the core up as users do, with the demo beside it, lets it run, and asks its own Prometheus, which sees
every container of the project.  The disk of a day follows from the samples of a second and what one takes in
a block that Prometheus writes of what it has; a block of two hours takes less for each, because names stand
in it once.

    python -m bench.bundle_cost --seconds 600
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from lab.bundle import OFFLINE, Bundle
from lab.engine import PrivateEngine
from lab.loopback import DIRECT

_MIB = 2**20
_DAY_SECONDS = 86_400
_CALL_SECONDS = 60
# Everything but what is there to be watched.
_OURS = 'compose_project="{project}",compose_service!~"demo-.*"'


@dataclass(frozen=True, slots=True)
class Service:
    """One service's share of a core, in percent, and its working set."""

    name: str
    cpu_percent: float
    memory_mib: float


def main() -> None:
    """Print a line for each service, their sum, and what Prometheus keeps."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, PrivateEngine("28", share_network=True) as engine:
        files = (*OFFLINE, str(_with_snapshots(Path(folder))))
        with Bundle(engine, Path(folder), files=files, profiles=["demo"]) as bundle:
            print(f"healthy after {bundle.up():.1f} s", flush=True)
            time.sleep(arguments.seconds)
            _print_services(measured(bundle, arguments.seconds))
            _print_disk(bundle, arguments.seconds)
            print(f"load average {os.getloadavg()[0]:.2f}")


def measured(bundle: Bundle, seconds: float) -> list[Service]:
    """Return what each service has used in the last seconds."""
    ours = _OURS.format(project=bundle.name)
    # The first minute is the start.
    window = f"{max(60, int(seconds) - 60)}s"
    cpu = f"sum by (compose_service) (rate(docker_container_cpu_usage_seconds_total{{{ours}}}[{window}]))"
    memory = f"sum by (compose_service) (docker_container_memory_working_set_bytes{{{ours}}})"
    used = {each.labels["compose_service"]: each.value for each in bundle.prometheus.query(cpu)}
    held = {each.labels["compose_service"]: each.value for each in bundle.prometheus.query(memory)}
    return [Service(name, used[name] * 100, held[name] / _MIB) for name in sorted(used)]


def _print_services(services: list[Service]) -> None:
    whole = Service(
        "all", sum(each.cpu_percent for each in services), sum(each.memory_mib for each in services)
    )
    for each in (*services, whole):
        print(f"{each.name:<14} {each.cpu_percent:6.2f} % of a core  {each.memory_mib:7.1f} MiB", flush=True)


def _print_disk(bundle: Bundle, seconds: float) -> None:
    (series,) = bundle.prometheus.query("prometheus_tsdb_head_series")
    (appended,) = bundle.prometheus.query("sum(prometheus_tsdb_head_samples_appended_total)")
    rate = f"sum(rate(prometheus_tsdb_head_samples_appended_total[{int(seconds / 2)}s]))"
    (samples,) = bundle.prometheus.query(rate)
    each = _block_bytes(bundle) / appended.value
    day = samples.value * _DAY_SECONDS * each / _MIB
    print(
        f"{series.value:.0f} series, {samples.value:.0f} samples a second, {each:.2f} bytes each "
        f"in a block of {seconds / 60:.0f} minutes: {day:.0f} MiB a day"
    )


def _block_bytes(bundle: Bundle) -> int:
    """Have Prometheus write all that it has into a block, and return how large that is."""
    address = f"{bundle.url('PROMETHEUS')}/api/v1/admin/tsdb/snapshot"
    with DIRECT.open(urllib.request.Request(address, b""), timeout=_CALL_SECONDS):  # noqa: S310 - our own
        pass
    said = bundle.run("docker", "compose", "exec", "-T", "prometheus", "du", "-sb", "/prometheus/snapshots")
    return int(said.split()[0])


def _with_snapshots(folder: Path) -> Path:
    """Write an overlay with which Prometheus takes the request for a snapshot."""
    overlay = folder / "snapshots.json"
    command = [
        "--config.file=/etc/prometheus/prometheus.yml",
        "--storage.tsdb.path=/prometheus",
        "--web.enable-admin-api",
    ]
    overlay.write_text(json.dumps({"services": {"prometheus": {"command": command}}}), encoding="utf-8")
    return overlay


if __name__ == "__main__":
    main()
