"""What calls to the Engine end with when they fail: one error for each kind of failure, with what to do."""

from __future__ import annotations

import errno
import http.client
import json
import os
from typing import TYPE_CHECKING, Any

from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.errors import (
    EngineError,
    EngineGarbage,
    EnginePermission,
    EngineTimeout,
    EngineUnreachable,
)

if TYPE_CHECKING:
    from compose_agent.dockerd.answer import Answer


def outcome_of(error: EngineError) -> str:
    """Return the label value for an error, such as ``timeout`` or ``not_found``."""
    name = type(error).__name__.removeprefix("Engine")
    return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


def translate(error: Exception, endpoint: Endpoint, call: str) -> EngineError:
    """Return the :class:`EngineError` for what the libraries underneath raised."""
    root = _innermost(error)
    if isinstance(root, PermissionError):
        return _permission(endpoint)
    if isinstance(error, TimeoutError) or isinstance(root, TimeoutError):
        return EngineTimeout(f"the Engine at {endpoint.host} gave no whole answer to {call} in time")
    if isinstance(error, json.JSONDecodeError):
        return EngineGarbage(f"the Engine's answer to {call} is not JSON")
    if _is_garbage(error, root):
        return EngineGarbage(f"the Engine's answer to {call} cannot be read ({root})")
    reason = os.strerror(root.errno) if isinstance(root, OSError) and root.errno else str(root)
    remedy = None
    if isinstance(root, OSError) and root.errno in (errno.ENOENT, errno.ECONNREFUSED):
        remedy = "start Docker, or say where it listens with --docker.host or DOCKER_HOST"
    return EngineUnreachable(f"no Engine at {endpoint.host} ({reason})", remedy=remedy)


def _is_garbage(error: Exception, root: BaseException) -> bool:
    """Tell an answer that breaks the rules of HTTP from a connection that broke."""
    if isinstance(root, http.client.HTTPException | ValueError):
        return not isinstance(root, http.client.IncompleteRead | http.client.RemoteDisconnected)
    return not isinstance(error, OSError)


def _innermost(error: BaseException) -> BaseException:
    """Return the operating system's own error under the wrappings of the libraries."""
    seen: set[int] = set()
    while id(error) not in seen:
        seen.add(id(error))
        nested = [error.__cause__, error.__context__, *(getattr(error, "args", ()))]
        inner = next((each for each in nested if isinstance(each, Exception) and id(each) not in seen), None)
        if inner is None:
            break
        error = inner
    return error


def _permission(endpoint: Endpoint) -> EnginePermission:
    remedy = "run as a user who may use it"
    if endpoint.socket_path:
        try:
            group = endpoint.socket_path.stat().st_gid
            remedy = (
                f"it belongs to group {group}: add the user to it, or a container with group_add: [{group}]"
            )
        except OSError:
            pass  # the folder is closed too; the general remedy holds
    return EnginePermission(f"no permission on the Engine's socket {endpoint.host}", remedy=remedy)


def decoded(answer: Answer) -> Any:
    """Return the JSON of an answer; None for a refusal without any. Raises EngineGarbage, ValueError."""
    try:
        return answer.json()
    except json.JSONDecodeError:
        if answer.status >= 300:
            return None
        raise
    except RecursionError as error:
        raise EngineGarbage("the Engine's answer is nested without end") from error
