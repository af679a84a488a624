"""People and tokens of a manager under test, and their requests over TCP."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import urllib3

from tests.fleet.manager.serving import Manager

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Asker:
    """Somebody, by the headers that prove it."""

    manager: Manager
    headers: dict[str, str]

    def ask(self, method: str, path: str, body: object = None, **more: str) -> urllib3.BaseHTTPResponse:
        data = None if body is None else json.dumps(body).encode()
        return urllib3.request(
            method,
            self.manager.url + path,
            body=data,
            headers={**self.headers, **more},
            retries=False,
            redirect=False,
            timeout=30.0,
        )


def locally(manager: Manager, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """Ask as the host's administrator does, over the local socket."""
    statuses: list[str] = []
    data = b"" if body is None else json.dumps(body).encode()
    path, _, query = path.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "wsgi.input": BytesIO(data),
    }
    answer = manager.role.routes()(environ, lambda status, *_: statuses.append(status))  # type: ignore[arg-type]
    return int(statuses[0].split()[0]), json.loads(b"".join(answer))


def token(manager: Manager, role: str, environments: Sequence[str] | None, name: str = "robot") -> Asker:
    draft = {"name": name, "role": role, "environments": environments}
    status, made = locally(manager, "POST", "/api/v1/tokens", draft)
    assert status == 201, made
    return Asker(manager, {"Authorization": f"Bearer {made['token']}"})


def person(manager: Manager, name: str, role: str, environments: Sequence[str] | None) -> Asker:
    draft = {"role": role, "environments": environments, "password": PASSWORD}
    status, made = locally(manager, "PUT", f"/api/v1/people/{name}", draft)
    assert status in {200, 201}, made
    return Asker(manager, urllib3.make_headers(basic_auth=f"{name}:{PASSWORD}"))
