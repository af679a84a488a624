from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import pytest

from compose_agent.errors import ConfigError
from compose_agent.web.webfile import WebConfigFile

if TYPE_CHECKING:
    from pathlib import Path

    import trustme

DENY = "http_server_config: {headers: {X-Frame-Options: deny}}\n"
SAME = "http_server_config: {headers: {X-Frame-Options: sameorigin}}\n"
PAIR = "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"


def replace(path: Path, text: str) -> None:
    """Write as editors and secret stores do: a new file under the old name."""
    fresh = path.with_suffix(".fresh")
    fresh.write_text(text)
    fresh.rename(path)


def test_a_wrong_file_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        WebConfigFile(tmp_path / "none.yml")


def test_nothing_is_read_again_while_nothing_changes(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text(DENY)
    web = WebConfigFile(tmp_path / "web.yml")
    assert web.current() is web.current()


def test_a_new_version_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text(DENY)
    reloads: list[ConfigError | None] = []
    web = WebConfigFile(path, reloads.append)
    replace(path, SAME)
    assert web.current().config.headers == {"X-Frame-Options": "sameorigin"}
    assert reloads == [None]


def test_a_change_of_the_same_size_and_time_is_seen_by_its_inode(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text(SAME)
    web = WebConfigFile(path)
    before = path.stat()
    replace(path, SAME.replace("sameorigin", "deny      "))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert web.current().config.headers == {"X-Frame-Options": "deny"}


def test_a_broken_version_keeps_the_old_one_and_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "web.yml"
    path.write_text(DENY)
    reloads: list[ConfigError | None] = []
    web = WebConfigFile(path, reloads.append)
    replace(path, "nonsense: 1\n")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert web.current().config.headers == {"X-Frame-Options": "deny"}
    assert len(caplog.records) == 1
    assert len(reloads) == 1
    assert web.error is reloads[0]
    assert "web.yml:1: unknown key 'nonsense'" in str(web.error)


def test_a_file_that_vanishes_keeps_the_old_version_until_it_is_back(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text(DENY)
    web = WebConfigFile(path)
    path.unlink()
    assert web.current().config.headers == {"X-Frame-Options": "deny"}
    assert web.error is not None
    path.write_text(SAME)
    assert web.current().config.headers == {"X-Frame-Options": "sameorigin"}
    assert web.error is None


def test_a_certificate_that_comes_before_its_key_waits_for_it(tls_dir: Path, ca: trustme.CA) -> None:
    (tls_dir / "web.yml").write_text(PAIR)
    web = WebConfigFile(tls_dir / "web.yml")
    first = web.current().context
    renewed = ca.issue_cert("127.0.0.1")
    replace(tls_dir / "server.crt", b"".join(pem.bytes() for pem in renewed.cert_chain_pems).decode())
    assert web.current().context is first
    assert "is not the key of the certificate" in str(web.error)
    replace(tls_dir / "server.key", renewed.private_key_pem.bytes().decode())
    assert web.current().context is not first
    assert web.error is None


def test_a_certificate_named_before_it_exists_is_taken_when_it_comes(tls_dir: Path) -> None:
    (tls_dir / "web.yml").write_text(PAIR)
    web = WebConfigFile(tls_dir / "web.yml")
    replace(tls_dir / "web.yml", PAIR.replace("server.crt", "later.crt"))
    first = web.current().context
    assert "later.crt cannot be read" in str(web.error)
    (tls_dir / "later.crt").write_bytes((tls_dir / "server.crt").read_bytes())
    assert web.current().context is not first


@pytest.mark.parametrize(("before", "after"), [(PAIR, DENY), (DENY, PAIR)])
def test_tls_neither_comes_nor_goes_while_the_listener_is_open(
    tls_dir: Path, before: str, after: str
) -> None:
    (tls_dir / "web.yml").write_text(before)
    web = WebConfigFile(tls_dir / "web.yml")
    loaded = web.current()
    replace(tls_dir / "web.yml", after)
    assert web.current() is loaded
    assert str(web.error) == (
        f"{tls_dir}/web.yml:1: tls_server_config cannot come or go while the listener is open, "
        "expected a restart"
    )


@pytest.mark.parametrize(
    ("after", "message"),
    [
        ("", "the file says nothing any more, expected the settings, or a restart without them"),
        ("# nothing\n", "the file says nothing any more, expected the settings, or a restart without them"),
        (DENY, "basic_auth_users cannot go while the listener is open, expected a restart"),
    ],
)
def test_users_do_not_vanish_while_the_listener_is_open(
    tmp_path: Path, secret_hash: str, after: str, message: str
) -> None:
    path = tmp_path / "web.yml"
    path.write_text(f"basic_auth_users: {{anna: {secret_hash}}}\n")
    web = WebConfigFile(path)
    path.write_text(after)
    assert list(web.current().config.users) == ["anna"]
    assert str(web.error) == f"{path}:1: {message}"


def test_a_file_without_users_that_becomes_empty_is_refused_too(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text(DENY)
    web = WebConfigFile(path)
    path.write_text("")
    assert web.current().config.headers == {"X-Frame-Options": "deny"}
    assert "says nothing any more" in str(web.error)


def test_users_may_come_and_change_while_the_listener_is_open(tmp_path: Path, secret_hash: str) -> None:
    path = tmp_path / "web.yml"
    path.write_text(DENY)
    web = WebConfigFile(path)
    for name in ("anna", "berta"):
        replace(path, f"basic_auth_users: {{{name}: {secret_hash}}}\n")
        assert list(web.current().config.users) == [name]
        assert web.error is None
