"""scripts/setup-secrets: random, hashed as the web configuration file wants it, and made once."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import bcrypt
import pytest
import yaml

from compose_agent.web.webfile import WebConfigFile

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "setup-secrets"
NAMES = ("admin", "alertmanager", "prometheus")
WEB = "remediation-web.yml"
_SECONDS = 30


def setup(folder: Path) -> str:
    done = subprocess.run(
        [SCRIPT, folder],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=True,
        env={"PATH": os.defpath},
    )
    assert done.stderr == ""
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "secrets"
    setup(made)
    return made


def test_passwords_are_long_and_different(folder: Path) -> None:
    passwords = {(folder / f"{name}-password").read_text() for name in NAMES}
    assert len(passwords) == len(NAMES)
    assert {len(password) for password in passwords} == {32}
    assert not any("\n" in password for password in passwords)


def test_their_hashes_are_those_of_the_web_configuration(folder: Path) -> None:
    users = yaml.safe_load((folder / WEB).read_text())["basic_auth_users"]
    assert set(users) == set(NAMES)
    for name, hashed in users.items():
        assert bcrypt.checkpw((folder / f"{name}-password").read_bytes(), hashed.encode())
    WebConfigFile(folder / WEB)


def test_only_the_owner_gets_at_them_on_the_host(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o444}, "users of containers"


def test_a_second_run_changes_nothing(folder: Path) -> None:
    before = {path.name: path.read_text() for path in folder.iterdir()}
    assert setup(folder).endswith("everything was there\n")
    assert {path.name: path.read_text() for path in folder.iterdir()} == before


def test_a_password_that_is_gone_is_made_anew_and_hashed(folder: Path) -> None:
    gone = folder / "prometheus-password"
    kept, old = (folder / "admin-password").read_text(), gone.read_text()
    gone.unlink()
    assert "prometheus-password remediation-web.yml" in setup(folder)
    assert (folder / "admin-password").read_text() == kept
    assert gone.read_text() != old
    users = yaml.safe_load((folder / WEB).read_text())["basic_auth_users"]
    assert bcrypt.checkpw(gone.read_bytes(), users["prometheus"].encode())
