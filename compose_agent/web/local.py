"""The local interface between the processes of one host: each role on ``RUN_DIR/<role>.sock``."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from compose_agent.address import UnixAddress
from compose_agent.errors import ConfigError, ListenError
from compose_agent.web import health
from compose_agent.web.places import RELOAD_PATH, socket_path
from compose_agent.web.propagation import with_incoming_trace
from compose_agent.web.response import Response, body_of, routed
from compose_agent.web.server import Limits, WebServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from wsgiref.types import WSGIApplication, WSGIEnvironment

    from compose_agent.web.health import Probe
    from compose_agent.web.response import RouteTable

    # Takes the request's body, returns the revision that is applied now; ConfigError leaves the one before.
    Reload = Callable[[bytes], int]

logger = logging.getLogger(__name__)

# The group may talk to a role; the bundle's roles share one.
SOCKET_MODE = 0o660
FOLDER_MODE = 0o750
# The supervisor, the command line and a health check, seldom at the same moment.
_LIMITS = Limits(threads=4)


def local_server(
    run_dir: Path, role: str, probe: Probe, reload: Reload, app: WSGIApplication | None = None
) -> WebServer:
    """Return the server of a role's local interface; ``app`` answers the role's own routes.

    Its ``bind`` raises InstanceRunning while another process serves the role, and replaces a socket that a
    dead one left. Raises ListenError when the run directory cannot be made.
    """
    _make_folder(run_dir)
    table: RouteTable = {**health.routes(probe), RELOAD_PATH: {"POST": _Reloading(reload)}}
    address = UnixAddress(socket_path(run_dir, role), SOCKET_MODE)
    return WebServer(address, with_incoming_trace(routed(table, app)), limits=_LIMITS)


def _make_folder(run_dir: Path) -> None:
    try:
        if not run_dir.is_dir():
            run_dir.mkdir(parents=True)
            # Not mkdir's mode, which the umask narrows.
            run_dir.chmod(FOLDER_MODE)
    except OSError as error:
        raise ListenError(
            f"cannot make the run directory {run_dir}: {error.strerror}",
            remedy="name one that this user can write to with --run-dir",
        ) from error


class _Reloading:
    """Answers POST /-/reload, one at a time."""

    def __init__(self, reload: Reload) -> None:
        self._reload = reload
        self._lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment) -> Response:
        body = body_of(environ)
        try:
            with self._lock:
                revision = self._reload(body)
        except ConfigError as error:
            logger.warning("reload refused", extra={"error": str(error)})
            errors = [{"where": one.where, "what": one.what} for one in error.problems]
            return Response.json(409, {"errors": errors})
        return Response.json(200, {"revision": revision})
