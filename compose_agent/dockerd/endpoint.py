"""Finding the Engine: what the user says, then the Docker CLI's context, then the usual sockets."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from compose_agent.errors import ConfigError, Problem

_SCHEMES = ("unix", "tcp", "http", "https", "ssh")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the Engine listens: ``unix://…``, ``tcp://…`` or ``ssh://…``, and who said so.

    ``tls`` is the ``docker`` library's TLSConfig, for tcp endpoints that have one.
    """

    host: str
    origin: str
    tls: Any = None

    @property
    def socket_path(self) -> Path | None:
        """The path of the unix socket, if it is one."""
        return Path(self.host.removeprefix("unix://")) if self.host.startswith("unix://") else None


def find_endpoint(
    configured: str | None,
    environ: Mapping[str, str],
    *,
    is_socket: Callable[[Path], bool] = Path.is_socket,
) -> Endpoint:
    """Return the first endpoint in order: ``--docker.host``, DOCKER_HOST, CLI context, usual sockets.

    When nothing is found it is Docker's default socket, which may appear later. Raises ConfigError for an
    address that is none.
    """
    given = ((configured, "docker.host"), (environ.get("DOCKER_HOST"), "environment DOCKER_HOST"))
    for host, origin in given:
        if host:
            return Endpoint(_address(host, origin), origin, _tls_of_environment(host, environ))
    if found := _context_endpoint(environ):
        return found
    usual = list(usual_sockets(environ, os.getuid()))
    for socket in usual:
        if _seen(socket, is_socket):
            return Endpoint(f"unix://{socket}", "found")
    return Endpoint(f"unix://{usual[0]}", "default")


def usual_sockets(environ: Mapping[str, str], uid: int) -> Iterator[Path]:
    """Yield where Docker, rootless Docker, Docker Desktop and Podman put their sockets, in this order."""
    runtime = Path(environ.get("XDG_RUNTIME_DIR") or f"/run/user/{uid}")
    home = Path(environ.get("HOME") or "/root")
    yield Path("/var/run/docker.sock")
    yield runtime / "docker.sock"
    yield home / ".docker/run/docker.sock"
    yield home / ".docker/desktop/docker.sock"
    yield Path("/run/podman/podman.sock")
    yield runtime / "podman/podman.sock"


def _seen(path: Path, test: Callable[[Path], bool]) -> bool:
    try:
        return test(path)
    except OSError:
        return False  # in a folder that this user may not enter


def _address(host: str, origin: str) -> str:
    """Return the address with its scheme; ConfigError names where it came from."""
    if host.startswith("/"):
        return f"unix://{host}"
    try:
        parts = urlsplit(host)
        whole = bool(parts.port) if parts.scheme == "tcp" else bool(parts.netloc or parts.path)
    except ValueError:
        whole = False
    if not whole or parts.scheme not in _SCHEMES:
        expected = "a path, unix://PATH, tcp://HOST:PORT or ssh://USER@HOST"
        raise ConfigError(Problem(origin, f"expected {expected}, not '{host}'"))
    return host


def _tls_of_environment(host: str, environ: Mapping[str, str]) -> Any:
    """Return what DOCKER_TLS_VERIFY and DOCKER_CERT_PATH ask for, as the CLI reads them."""
    verify, folder = environ.get("DOCKER_TLS_VERIFY"), environ.get("DOCKER_CERT_PATH")
    if not (host.startswith("tcp://") and (verify or folder)):
        return None
    from docker.errors import TLSParameterError  # noqa: PLC0415 - loaded only where TLS is asked for
    from docker.tls import TLSConfig  # noqa: PLC0415

    certs = Path(folder) if folder else Path(environ.get("HOME", "")) / ".docker"
    try:
        return TLSConfig(
            client_cert=(str(certs / "cert.pem"), str(certs / "key.pem")),
            ca_cert=str(certs / "ca.pem"),
            verify=bool(verify),
        )
    except TLSParameterError as error:
        problem = Problem("environment DOCKER_CERT_PATH", f"expected cert.pem, key.pem and ca.pem in {certs}")
        raise ConfigError(problem) from error


def _context_endpoint(environ: Mapping[str, str]) -> Endpoint | None:
    """Return the endpoint of the CLI's current context, unless that is the default one."""
    home = environ.get("DOCKER_CONFIG") or (f"{environ['HOME']}/.docker" if environ.get("HOME") else None)
    if home is None or not _seen(Path(home) / "config.json", Path.is_file):
        return None
    name = environ.get("DOCKER_CONTEXT") or _current_context(Path(home) / "config.json")
    if name in ("", "default"):
        return None
    from docker.context import ContextAPI  # noqa: PLC0415 - loaded only where contexts are in use
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        context = ContextAPI.get_context(name)
    except (DockerException, OSError, ValueError, KeyError):
        return None  # a broken context of the CLI must not keep the agent from the usual sockets
    if context is None or not context.Host:
        return None
    return Endpoint(context.Host, f"context {context.Name}", context.TLSConfig)


def _current_context(file: Path) -> str:
    """Return the context that the CLI's configuration names; most have none but logins."""
    try:
        return str(json.loads(file.read_bytes())["currentContext"] or "")
    except (OSError, ValueError, KeyError, TypeError):
        return ""
