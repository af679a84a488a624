"""Finding the Engine: what the user says, then the Docker CLI's context, then the usual sockets."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


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

    When nothing is found it is Docker's default socket, which may appear later.
    """
    if configured:
        return Endpoint(_with_scheme(configured), "docker.host")
    if host := environ.get("DOCKER_HOST"):
        return Endpoint(_with_scheme(host), "environment DOCKER_HOST", _tls_of_environment(host, environ))
    if found := _context_endpoint(environ):
        return found
    usual = list(usual_sockets(environ, os.getuid()))
    for socket in usual:
        if is_socket(socket):
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


def _with_scheme(host: str) -> str:
    return f"unix://{host}" if host.startswith("/") else host


def _tls_of_environment(host: str, environ: Mapping[str, str]) -> Any:
    """Return what DOCKER_TLS_VERIFY and DOCKER_CERT_PATH ask for, as the CLI reads them."""
    verify, folder = environ.get("DOCKER_TLS_VERIFY"), environ.get("DOCKER_CERT_PATH")
    if not (host.startswith("tcp://") and (verify or folder)):
        return None
    from docker.tls import TLSConfig  # noqa: PLC0415 - loaded only where TLS is asked for

    certs = Path(folder) if folder else Path(environ.get("HOME", "")) / ".docker"
    return TLSConfig(
        client_cert=(str(certs / "cert.pem"), str(certs / "key.pem")),
        ca_cert=str(certs / "ca.pem"),
        verify=bool(verify),
    )


def _context_endpoint(environ: Mapping[str, str]) -> Endpoint | None:
    """Return the endpoint of the CLI's current context, unless that is the default one."""
    config = Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME") or "/root") / ".docker")
    if not environ.get("DOCKER_CONTEXT") and not (config / "config.json").is_file():
        return None
    from docker.context import ContextAPI  # noqa: PLC0415 - loaded only where contexts are in use
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        context = ContextAPI.get_context(environ.get("DOCKER_CONTEXT"))
    except (DockerException, OSError, ValueError, KeyError):
        return None  # a broken context of the CLI must not keep the agent from the usual sockets
    if context is None or context.Name == "default" or not context.Host:
        return None
    return Endpoint(context.Host, f"context {context.Name}", context.TLSConfig)
