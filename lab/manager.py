"""The manager of a fleet as a real process on the LAN's own host, with TLS and a token.

::

    with Lan() as lan, LanManager(lan, folder) as manager:
        options = manager.joining()  # for an agent on another host of the LAN
        manager.node("web-1")["state"]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trustme

from compose_agent.errors import ComposeAgentError
from compose_agent.web.localclient import LocalClient, RoleRefused
from lab import LabError
from lab.lan import Lan
from lab.process import Process

PORT = 4320
PROGRAM = (sys.executable, "-P", "-m", "compose_agent")
_TOKEN = "0123456789abcdef"  # noqa: S105 - of a manager that nobody else can reach


class LanManager:
    """Listens on ``lan.address``; its certificate is for that and ``names``. Files are in ``folder``."""

    def __init__(self, lan: Lan, folder: Path, *names: str, options: Sequence[str] = ()) -> None:
        self._folder = folder
        authority = trustme.CA()
        issued = authority.issue_cert(lan.address, *names)
        authority.cert_pem.write_to_path(str(self.ca_file))
        issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "both.pem"))
        (folder / "web.yml").write_text("tls_server_config: {cert_file: both.pem, key_file: both.pem}\n")
        (folder / "token").write_text(f"{_TOKEN}\n")
        self._local = LocalClient(folder / "manager-run", "manager")
        command = [
            *lan.enter(),
            *PROGRAM,
            "manager",
            f"--state-dir={folder}/manager",
            f"--run-dir={folder}/manager-run",
            f"--web.listen-address={lan.address}:{PORT}",
            f"--web.config.file={folder}/web.yml",
            f"--token-file={folder}/token",
            *options,
        ]
        self.process = Process(lan.scratch, command, name="manager", answers=self._answers)

    def __enter__(self) -> Self:
        try:
            self.process.start()
        except BaseException:
            self.process.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.close()

    def joining(self) -> list[str]:
        """Return the options with which an agent may join and knows its manager."""
        return [f"--agent.token-file={self._folder}/token", f"--agent.ca-file={self.ca_file}"]

    @property
    def ca_file(self) -> Path:
        """The authority of its certificate."""
        return self._folder / "ca.pem"

    def nodes(self) -> dict[str, dict[str, Any]]:
        """Return all nodes by node id, as the list has them."""
        return {row["node_id"]: row for row in self._local.get_json("/api/v1/nodes")["nodes"]}

    def node(self, name: str) -> dict[str, Any]:
        """Return everything that the manager knows of a node; nothing of one that it does not know."""
        try:
            document: dict[str, Any] = self._local.get_json(f"/api/v1/nodes/{name}")
        except RoleRefused as error:
            if error.status != 404:
                raise
            return {}
        return document

    def containers(self, name: str) -> list[dict[str, Any]]:
        """Return what the manager knows of a node's containers."""
        document: list[dict[str, Any]] = self._local.get_json(f"/api/v1/nodes/{name}/containers")
        return document

    def post(self, path: str, document: Mapping[str, Any]) -> Any:
        """Have the manager do something; return its answer, LabError when it refuses."""
        headers = {"Content-Type": "application/json"}
        status, body = self._local.request("POST", path, json.dumps(document).encode(), headers)
        if status >= HTTPStatus.BAD_REQUEST:
            raise LabError(f"the manager refused {path}: {body.decode()}")
        return json.loads(body)

    def metrics(self) -> str:
        """Return the manager's metrics."""
        return self._local.request("GET", "/metrics")[1].decode()

    def _answers(self) -> bool:
        try:
            return bool(self._local.ready().listeners)
        except ComposeAgentError:
            return False
