"""What a manager needs before it can start with TLS: an authority, a certificate, its web configuration."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compose_agent.durable import sync_folder
from compose_agent.errors import ComposeAgentError
from fleet.pki import Authority, Pair, make_authority, names_of

# The authority outlives several generations of hosts; the server's certificate is made anew each year.
_AUTHORITY_DAYS, SERVER_DAYS = 3650, 397
_PUBLIC, _SECRET = 0o644, 0o600
_WEB = """\
# Made by compose-agent manager init.
tls_server_config:
  cert_file: server.pem
  key_file: server.key
  # Agents come with certificates that the manager has signed; people, and agents that join, without one.
  client_ca_file: ca.pem
  client_auth_type: VerifyClientCertIfGiven
"""


class SetUpAlready(ComposeAgentError):
    """Something stands where it should be made."""


@dataclass(frozen=True, slots=True)
class Files:
    """Where in ``folder`` everything stands."""

    folder: Path

    @property
    def ca(self) -> Path:
        """The authority's certificate, which agents get."""
        return self.folder / "ca.pem"

    @property
    def ca_key(self) -> Path:
        """The authority's key: whoever has it is any agent, or the manager."""
        return self.folder / "ca.key"

    @property
    def certificate(self) -> Path:
        """The manager's certificate."""
        return self.folder / "server.pem"

    @property
    def key(self) -> Path:
        """The key of the manager's certificate."""
        return self.folder / "server.key"

    @property
    def web(self) -> Path:
        """The web configuration file."""
        return self.folder / "web.yml"


def initialize(folder: Path, names: Sequence[str]) -> Files:
    """Make everything for a manager that is reached by ``names``; raises ComposeAgentError."""
    files = Files(folder)
    if any(each.exists() for each in (files.ca, files.ca_key, files.web)):
        raise SetUpAlready(
            f"there is an authority in {folder} already",
            remedy="use it, or make a new certificate for the manager with --renew, or name another folder",
        )
    authority = make_authority("compose-agent fleet", _AUTHORITY_DAYS)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(files.ca_key, authority.key, _SECRET)
        _write(files.ca, authority.certificate, _PUBLIC)
        _issue(files, Authority(authority), names)
        _write(files.web, _WEB.encode(), _PUBLIC)
        sync_folder(folder)
    except OSError as error:
        raise _unusable(folder, error) from error
    return files


def renew(folder: Path, names: Sequence[str]) -> Files:
    """Make a new certificate for the manager, with the names of the old one if none are given.

    A manager that runs takes it up by itself.
    """
    files = Files(folder)
    try:
        authority = Authority(Pair(files.ca.read_bytes(), files.ca_key.read_bytes()))
        _issue(files, authority, names or names_of(files.certificate.read_bytes()))
        sync_folder(folder)
    except OSError as error:
        raise _unusable(folder, error) from error
    except ValueError as error:
        raise ComposeAgentError(f"the authority in {folder} cannot be used: {error}") from error
    return files


def _issue(files: Files, authority: Authority, names: Sequence[str]) -> None:
    made = authority.server(names, SERVER_DAYS)
    # A manager that looks in between finds a key that does not fit, and stays with what it has.
    _write(files.key, made.key, _SECRET)
    _write(files.certificate, made.certificate, _PUBLIC)


def _write(path: Path, data: bytes, mode: int) -> None:
    """Put a file in its place whole; it never has more rights than it shall have."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)


def _unusable(folder: Path, error: OSError) -> ComposeAgentError:
    return ComposeAgentError(
        f"the folder {folder} cannot be used ({error.strerror}: {error.filename})",
        remedy="make it writable, or name another one",
    )
