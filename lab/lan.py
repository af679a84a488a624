"""Several hosts on one machine, joined by cables that can be pulled.

::

    with Lan() as lan:
        cable = lan.attach(engine.pid)  # any process with a network namespace of its own
        server = subprocess.Popen([*lan.enter(), "python", ...])  # listens on lan.address
        cable.pull()
        cable.plug()
        with lan.present(), Prometheus(...) as prometheus:  # a client and a server there
            ...

The LAN is a network namespace with a bridge, and a host of it as well: servers that others are to reach
run there. A cable is a pair of interfaces; the namespace at its other end is somebody else's, and the
cable goes with either end.

Traps this module knows about:

- An interface that is set down tells its host at once. A cable that is pulled behind the next switch does
  not, and that is the usual case: packets are dropped inside the LAN.
- What is dropped on its way out is an error (EPERM) for a program that sends it over UDP.
- Rules for established connections only do not see what the kernel answers by itself; these have no state.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from lab import LabError
from lab.sandbox import Sandbox
from lab.scratch import Scratch

# For documentation and examples (RFC 5737): nobody routes it, so no Engine's pool is in the way.
_PREFIX = "192.0.2."
_BRIDGE = "lan0"
_MOST_HOSTS = 200
_COMMAND_SECONDS = 20.0
_CLONE_NEWNET = 0x40000000  # setns(2)


class Cable:
    """One host's connection with the LAN; ``address`` is the host's."""

    def __init__(self, lan: Lan, address: str) -> None:
        self._lan = lan
        self.address = address

    def pull(self) -> None:
        """Drop everything from and to the host, without a word to either side."""
        self.filter("-j", "DROP")

    def plug(self) -> None:
        """Let everything pass."""
        self._lan.run("iptables", "-F", self._chain("from"))
        self._lan.run("iptables", "-F", self._chain("to"))

    def filter(self, *rule: str) -> None:
        """Apply a rule of iptables to what goes from and to the host, behind those that are there."""
        self._lan.run("iptables", "-A", self._chain("from"), "-s", self.address, *rule)
        self._lan.run("iptables", "-A", self._chain("to"), "-d", self.address, *rule)

    def prepare(self) -> None:
        """Make the places for its rules."""
        for name, hook in (("from", "INPUT"), ("to", "OUTPUT")):
            self._lan.run("iptables", "-N", self._chain(name))
            self._lan.run("iptables", "-A", hook, "-j", self._chain(name))

    def _chain(self, direction: str) -> str:
        return f"{direction}-{self.address}"


class Lan:
    """The namespace with the bridge; ``address`` is its own."""

    address = f"{_PREFIX}1"

    def __init__(self) -> None:
        self._cleanup = ExitStack()
        self._sandbox: Sandbox | None = None
        self._scratch: Scratch | None = None
        self._hosts = 0

    def __enter__(self) -> Self:
        with ExitStack() as cleanup:
            self._scratch = scratch = Scratch()
            cleanup.callback(scratch.close)
            self._sandbox = Sandbox(scratch)
            cleanup.callback(self._sandbox.close)
            self.run("ip", "link", "add", _BRIDGE, "type", "bridge")
            self.run("ip", "address", "add", f"{self.address}/24", "dev", _BRIDGE)
            self.run("ip", "link", "set", _BRIDGE, "up")
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    @property
    def scratch(self) -> Scratch:
        """The scratch to which everything on the LAN's own host belongs."""
        if self._scratch is None:
            raise LabError("this LAN is not there", remedy="use it in a with statement")
        return self._scratch

    def enter(self) -> list[str]:
        """Return the words to put before a command that shall run on the LAN's own host."""
        if self._sandbox is None:
            raise LabError("this LAN is not there", remedy="use it in a with statement")
        return self._sandbox.enter()

    @contextmanager
    def present(self) -> Iterator[None]:
        """Have the calling thread on the network of the LAN's own host, and what it starts meanwhile."""
        if self._sandbox is None:
            raise LabError("this LAN is not there", remedy="use it in a with statement")
        theirs = Path(f"/proc/{self._sandbox.pid}/ns/net")
        with Path("/proc/thread-self/ns/net").open("rb") as own, theirs.open("rb") as lan:
            _enter(lan.fileno())
            try:
                yield
            finally:
                _enter(own.fileno())

    def attach(self, pid: int) -> Cable:
        """Give the network namespace of process ``pid`` an interface and an address in the LAN."""
        self._hosts += 1
        assert self._hosts < _MOST_HOSTS
        port, cable = f"port{self._hosts}", Cable(self, f"{_PREFIX}{self._hosts + 10}")
        host = ["nsenter", f"--target={pid}", "--net", "--"]
        self.run("ip", "link", "add", port, "type", "veth", "peer", "name", "lan", "netns", str(pid))
        self.run("ip", "link", "set", port, "master", _BRIDGE, "up")
        _run([*host, "ip", "address", "add", f"{cable.address}/24", "dev", "lan"])
        _run([*host, "ip", "link", "set", "lan", "up"])
        cable.prepare()
        return cable

    def run(self, *command: str) -> str:
        """Run a short command on the LAN's own host; return what it prints, LabError when it fails."""
        return _run([*self.enter(), *command])


def _enter(network: int) -> None:
    # os.setns is newer than the oldest Python that runs this.
    if ctypes.CDLL(None, use_errno=True).setns(network, _CLONE_NEWNET):
        reason = os.strerror(ctypes.get_errno())
        raise LabError(f"the network could not be entered: {reason}", remedy="run as root")


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False)
    if done.returncode:
        what = f"{' '.join(command)} failed: {done.stderr.strip()}"
        raise LabError(what, remedy="run as root, with iproute2 and iptables")
    return done.stdout
