"""Open listening sockets, or say in one sentence why that cannot be done."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import struct
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import TYPE_CHECKING

from compose_agent.errors import InstanceRunning, ListenError
from compose_agent.web.portholder import holder_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from compose_agent.address import Address, UnixAddress

# Alertmanager opens 500 connections in under a second; the kernel caps it at net.core.somaxconn.
BACKLOG = 1024
# A live process takes a connection into its backlog at once, so a second means that it is stuck.
PROBE_SECONDS = 1.0
# sockaddr_un.sun_path holds 108 bytes with its closing zero.
_LONGEST_PATH = 107


def listen_tcp(address: Address) -> socket.socket:
    """Return a socket listening on ``address``, or raise ListenError with a remedy."""
    failure: OSError | None = None
    for family, where in _targets(address):
        try:
            return _listening(family, where)
        except OSError as error:
            # Without IPv6 in the kernel all interfaces still means those of IPv4.
            failure = error
            if error.errno == errno.EADDRINUSE:
                break
    assert failure is not None  # noqa: S101  # there is at least one target
    raise _explained(address, failure) from failure


def _targets(address: Address) -> list[tuple[int, tuple[str, int]]]:
    if not address.host:
        return [(socket.AF_INET6, ("::", address.port)), (socket.AF_INET, ("0.0.0.0", address.port))]  # noqa: S104
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ListenError(
            f"cannot listen on {address}: the host name {address.host!r} cannot be resolved",
            remedy="use an IP address of this host, or leave the host empty for all interfaces",
        ) from error
    # "localhost" is both; IPv4 is what people mean by it.
    found.sort(key=lambda one: one[0] != socket.AF_INET)
    return [(family, (str(where[0]), address.port)) for family, _, _, _, where in found]


def _listening(family: int, where: tuple[str, int]) -> socket.socket:
    with ExitStack() as on_failure:
        sock = socket.socket(family, socket.SOCK_STREAM)
        on_failure.callback(sock.close)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(where[0] != "::"))
        sock.bind(where)
        sock.listen(BACKLOG)
        on_failure.pop_all()
    return sock


def _explained(address: Address, error: OSError) -> ListenError:
    if error.errno == errno.EADDRINUSE:
        holder = holder_of(address.port) or "another process"
        remedy = "stop that process, or choose another address"
        return ListenError(f"cannot listen on {address}: the port is in use by {holder}", remedy=remedy)
    if error.errno == errno.EACCES:
        remedy = "choose a port from 1024 up, or give the process CAP_NET_BIND_SERVICE"
        return ListenError(f"cannot listen on {address}: permission denied", remedy=remedy)
    if error.errno == errno.EADDRNOTAVAIL:
        remedy = "use an address of this host, or leave the host empty for all interfaces"
        return ListenError(f"cannot listen on {address}: no interface has this address", remedy=remedy)
    return ListenError(f"cannot listen on {address}: {error.strerror}")


def listen_unix(address: UnixAddress) -> socket.socket:
    """Return a socket listening on the path of ``address``; its folder must exist.

    A socket left behind by a dead process is replaced. InstanceRunning when a process listens there,
    ListenError when the path cannot be used.
    """
    path = address.path
    if len(os.fsencode(path)) > _LONGEST_PATH - len(".new"):
        raise ListenError(
            f"cannot listen on {address}: the path is longer than a unix socket's may be",
            remedy="choose a shorter run directory with --run-dir",
        )
    try:
        with _locked(path.parent):
            _refuse_live(path)
            return _listening_unix(address)
    except OSError as error:
        raise ListenError(
            f"cannot listen on {address}: {error.strerror}",
            remedy=f"give this user write access to {path.parent}, or choose another with --run-dir",
        ) from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _refuse_live(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenError(f"cannot listen on unix:{path}: it is no socket", remedy="move that file away")
    with closing(socket.socket(socket.AF_UNIX)) as probe:
        probe.settimeout(PROBE_SECONDS)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            return
        except (BlockingIOError, TimeoutError):
            holder = "a process that does not answer"
        else:
            holder = f"the process with pid {_peer_pid(probe)}"
    raise InstanceRunning(f"{path} is in use by {holder}", remedy="stop it, or use another --run-dir")


def _peer_pid(sock: socket.socket) -> int:
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[0])


def _listening_unix(address: UnixAddress) -> socket.socket:
    # Under another name until the mode is right and it listens: nobody ever meets a half-made socket.
    fresh = address.path.with_name(address.path.name + ".new")
    with ExitStack() as on_failure:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        on_failure.callback(sock.close)
        fresh.unlink(missing_ok=True)
        sock.bind(os.fspath(fresh))
        on_failure.callback(fresh.unlink, missing_ok=True)
        if address.gid is not None:
            _give_to_group(fresh, address.gid)
        fresh.chmod(address.mode)
        sock.listen(BACKLOG)
        fresh.rename(address.path)
        on_failure.pop_all()
    return sock


def _give_to_group(path: Path, gid: int) -> None:
    try:
        os.chown(path, -1, gid)
    except PermissionError as error:
        raise ListenError(
            f"cannot give the socket in {path.parent} to the group {gid}",
            remedy="run as a member of that group, or as root",
        ) from error


def unlink_if_same(path: Path, inode: int) -> None:
    """Remove the socket file at ``path`` unless another process has put its own there."""
    with suppress(OSError):
        if path.lstat().st_ino == inode:
            path.unlink()
