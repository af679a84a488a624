"""A private, real Alertmanager with a given configuration, alone or as one of a pair, and its amtool.

::

    with Alertmanager(to_webhook("http://127.0.0.1:9419/webhook")) as alertmanager:
        alertmanager.post_alerts([alert("ContainerUnhealthy", name="shop-web-1")])

    with pair(to_webhook(url), peer_timeout="2s") as (first, second):
        ...

Lines are unpacked from distributions: ``0.25`` is bookworm's, ``0.33`` is forky's.

Traps this module knows about:

- A member of a pair sends nothing before it believes the number of its peers to be settled, which takes
  several gossip intervals; ``pair`` shortens those and waits for both.
- Who is first in a pair is decided by random names, anew at each start.
- Its log of notifications is on disk only after an orderly end: after SIGKILL it sends again.
- An alert without ``endsAt`` resolves by itself after ``resolve_timeout``; Prometheus repeats what fires.
- Debian's program reads its templates from ``/usr/share/prometheus`` and does not start without: it gets a
  mount namespace in which the package's ``/usr/share`` lies over the machine's.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lab import LabError, packages
from lab.loopback import DIRECT, answers, free_port, start_on_free_port
from lab.process import Process
from lab.scratch import Scratch

_SUITES = {"0.25": "bookworm", "0.33": "forky"}
LINES = tuple(_SUITES)
NEWEST = LINES[-1]

_API_TIMEOUT_S = 20
_AMTOOL_TIMEOUT_S = 60
# Runs what follows with the first word's folder as /usr/share; the process stays the same, for signals.
_OVER_SHARE = 'mount --bind "$0" /usr/share && exec "$@"'
_SHARING = ("unshare", "--mount", "--propagation=private", "--", "/bin/sh", "-c", _OVER_SHARE)
# Ten of these make one look at the number of peers, and four equal looks in a row make it settled.
_GOSSIP_INTERVAL = "50ms"
# A loaded machine answers a probe late; a peer that counts as dead makes the other one send as well.
_PROBE_TIMEOUT = "5s"
_SETTLE_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Membership:
    """A place in a cluster: its address, those of all members, and how long each waits for the one before."""

    address: str
    peers: Sequence[str]
    peer_timeout: str = "15s"


class Alertmanager:
    """Alertmanager on a free loopback port; ``configuration`` is alertmanager.yml as a mapping.

    ``process`` has ``end``, ``start``, ``freeze``, ``thaw`` and ``logs``; ``flags`` are given besides.
    """

    def __init__(
        self,
        configuration: Mapping[str, Any],
        *,
        line: str = NEWEST,
        member: Membership | None = None,
        flags: Sequence[str] = (),
    ) -> None:
        self.url = ""
        self.process: Process
        self._configuration = configuration
        self._line = line
        self._flags = (*_cluster_flags(member), *flags)
        self._file = Path()
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as cleanup:
            scratch = Scratch()
            cleanup.callback(scratch.close)
            self._file = scratch.root / "alertmanager.yml"
            self._write(self._configuration)
            self.process, self.url = start_on_free_port(lambda address: self._at(scratch, address))
            cleanup.callback(self.process.close)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def kill(self) -> None:
        """End it with SIGKILL, so that it forgets what it has sent since its last orderly end."""
        self.process.end(signal.SIGKILL)

    def restart(self) -> None:
        """End it in order, when it runs, and start it again on its data and address."""
        self.process.end()
        self.process.start()

    def reload(self, configuration: Mapping[str, Any]) -> None:
        """Give it another configuration; LabError when it refuses."""
        self._write(configuration)
        self._ask("/-/reload", b"")

    def post_alerts(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Tell it of alerts, as Prometheus does (see ``alert``)."""
        self._ask("/api/v2/alerts", json.dumps(alerts).encode())

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that fire, as its API has them."""
        found: list[dict[str, Any]] = json.loads(self._ask("/api/v2/alerts"))
        return found

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the series of one of its own metrics that have these labels."""
        total = 0.0
        for line in self._ask("/metrics").decode().splitlines():
            series, _, value = line.rpartition(" ")
            if re.split(r"[{ ]", series)[0] == name and all(
                f'{key}="{text}"' in series for key, text in labels.items()
            ):
                total += float(value)
        return total

    def wait_settled(self, members: int) -> None:
        """Return when a cluster of so many is settled, so that notifications are sent."""
        self.process.wait_until(lambda: self._is_settled(members), _SETTLE_TIMEOUT_S, "did not settle")

    def _is_settled(self, members: int) -> bool:
        cluster = json.loads(self._ask("/api/v2/status"))["cluster"]
        return cluster["status"] == "ready" and len(cluster["peers"]) == members

    def _at(self, scratch: Scratch, address: str) -> Process:
        package = _package(self._line)
        command = [
            *_SHARING,
            str(package / "usr" / "share"),
            str(package / "usr" / "bin" / "prometheus-alertmanager"),
            f"--config.file={self._file}",
            f"--storage.path={scratch.root}/data",
            f"--web.listen-address={address}",
            *self._flags,
        ]
        ready = f"http://{address}/-/ready"
        return Process(scratch, command, name="alertmanager", answers=lambda: answers(ready))

    def _write(self, configuration: Mapping[str, Any]) -> None:
        # JSON is YAML as well.
        self._file.write_text(json.dumps(configuration), encoding="utf-8")

    def _ask(self, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(  # noqa: S310 - our own
            self.url + path, body, {"Content-Type": "application/json"}
        )
        try:
            with DIRECT.open(request, timeout=_API_TIMEOUT_S) as response:
                answer: bytes = response.read()
                return answer
        except urllib.error.HTTPError as error:
            with error:
                raise LabError(f"Alertmanager refused {path}: {error.read().decode()}") from error


@contextmanager
def pair(
    configuration: Mapping[str, Any], *, line: str = NEWEST, peer_timeout: str = "2s"
) -> Iterator[tuple[Alertmanager, Alertmanager]]:
    """Start two that know one another, and yield them when both send."""
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    members = [Membership(address, addresses, peer_timeout) for address in addresses]
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(Alertmanager(configuration, line=line, member=member)) for member in members
        )
        for one in (first, second):
            one.wait_settled(len(members))
        yield first, second


def to_webhook(
    url: str,
    *,
    group_by: Sequence[str] = ("...",),
    group_wait: str = "0s",
    group_interval: str = "1s",
    repeat_interval: str = "1h",
    webhook: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a configuration that sends all alerts to one webhook; ``webhook`` has more settings of it.

    By default each alert is a group of its own, and its changes are told after at most a second.
    """
    return {
        "route": {
            "receiver": "webhook",
            "group_by": list(group_by),
            "group_wait": group_wait,
            "group_interval": group_interval,
            "repeat_interval": repeat_interval,
        },
        "receivers": [{"name": "webhook", "webhook_configs": [{"url": url, **(webhook or {})}]}],
    }


def alert(
    name: str, /, *, starts: float | None = None, ends: float | None = None, **labels: str
) -> dict[str, Any]:
    """Return an alert for ``post_alerts``; times are Unix seconds, and one that has ended is resolved."""
    times = {"startsAt": starts, "endsAt": ends}
    stamps = {
        key: datetime.fromtimestamp(moment, UTC).isoformat()
        for key, moment in times.items()
        if moment is not None
    }
    return {"labels": {"alertname": name, **labels}, **stamps}


def amtool(*arguments: str, line: str = NEWEST) -> subprocess.CompletedProcess[str]:
    """Run amtool and return what it said; its status is for the caller to judge."""
    return subprocess.run(
        [str(_package(line) / "usr" / "bin" / "amtool"), *arguments],
        input="",
        capture_output=True,
        text=True,
        timeout=_AMTOOL_TIMEOUT_S,
        check=False,
    )


def _package(line: str) -> Path:
    if line not in _SUITES:
        raise LabError(f"there is no Alertmanager line {line!r}", remedy=f"choose one of {', '.join(LINES)}")
    return packages.unpack(["prometheus-alertmanager"], _SUITES[line])


def _cluster_flags(member: Membership | None) -> tuple[str, ...]:
    if member is None:
        return ("--cluster.listen-address=",)
    return (
        f"--cluster.listen-address={member.address}",
        *(f"--cluster.peer={peer}" for peer in member.peers if peer != member.address),
        f"--cluster.peer-timeout={member.peer_timeout}",
        f"--cluster.gossip-interval={_GOSSIP_INTERVAL}",
        f"--cluster.probe-timeout={_PROBE_TIMEOUT}",
        "--cluster.probe-interval=5s",
    )
