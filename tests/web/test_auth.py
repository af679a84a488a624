from __future__ import annotations

import base64
import threading

import bcrypt
import pytest

from compose_agent.web.auth import REMEMBERED, WAITING_CHECKS, Authenticator, Busy


def basic(text: str | bytes) -> str:
    return "Basic " + base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


class Counting:
    """bcrypt.checkpw that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, bytes]] = []

    def __call__(self, password: bytes, hashed: bytes) -> bool:
        self.asked.append((password, hashed))
        return bcrypt.checkpw(password, hashed)


@pytest.fixture
def users(secret_hash: str) -> dict[str, bytes]:
    return {"alice": secret_hash.encode()}


@pytest.mark.parametrize(
    ("header", "user"),
    [
        (basic("alice:secret"), "alice"),
        (basic("alice:secret").replace("Basic", "basic"), "alice"),
        (basic("alice:wrong"), None),
        (basic("alice:"), None),
        (basic("alice:secret\0"), None),
        (basic("mallory:secret"), None),
        (basic("alice"), None),
        (basic(b"\xff:\xff"), None),
        ("Basic !!!", None),
        ("Basic", None),
        ("Bearer secret", None),
        ("", None),
    ],
)
def test_only_the_right_password_of_a_known_user_counts(
    users: dict[str, bytes], header: str, user: str | None
) -> None:
    assert Authenticator().user(users, header) == user


def test_passwords_longer_than_bcrypt_reads_are_cut_as_everywhere() -> None:
    users = {"alice": bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4))}
    assert Authenticator().user(users, basic("alice:" + "x" * 80)) == "alice"


def test_results_good_and_bad_are_remembered(users: dict[str, bytes]) -> None:
    check = Counting()
    authenticator = Authenticator(check)
    for header in (basic("alice:secret"), basic("alice:wrong"), basic("mallory:secret")):
        authenticator.user(users, header)
        authenticator.user(users, header)
    assert len(check.asked) == 3


def test_an_unknown_user_is_checked_at_the_same_cost(users: dict[str, bytes]) -> None:
    check = Counting()
    Authenticator(check).user(users, basic("mallory:secret"))
    ((_, decoy),) = check.asked
    assert decoy[:7] == users["alice"][:7] == b"$2b$04$"
    assert decoy != users["alice"]


def test_a_changed_password_is_in_force_at_once(users: dict[str, bytes]) -> None:
    authenticator = Authenticator()
    assert authenticator.user(users, basic("alice:secret")) == "alice"
    changed = {"alice": bcrypt.hashpw(b"new", bcrypt.gensalt(4))}
    assert authenticator.user(changed, basic("alice:secret")) is None
    assert authenticator.user({}, basic("alice:secret")) is None


def test_a_flood_of_wrong_passwords_does_not_push_out_the_right_one(users: dict[str, bytes]) -> None:
    asked: list[bytes] = []

    def check(password: bytes, _hashed: bytes) -> bool:
        asked.append(password)
        return password == b"secret"

    authenticator = Authenticator(check)
    authenticator.user(users, basic("alice:secret"))
    for number in range(3 * REMEMBERED):
        authenticator.user(users, basic(f"alice:{number}"))
    authenticator.user(users, basic("alice:secret"))
    assert asked.count(b"secret") == 1
    assert len(authenticator._refused._keys) == REMEMBERED


def test_more_checks_than_can_wait_are_put_off(users: dict[str, bytes]) -> None:
    release, running = threading.Event(), threading.Semaphore(0)

    def slow(_password: bytes, _hashed: bytes) -> bool:
        running.release()
        return release.wait(10)

    authenticator = Authenticator(slow)
    threads = [
        threading.Thread(target=authenticator.user, args=(users, basic(f"alice:{number}")))
        for number in range(WAITING_CHECKS)
    ]
    for thread in threads:
        thread.start()
    try:
        assert running.acquire(timeout=10)
        while authenticator._queue._value:
            pass
        with pytest.raises(Busy):
            authenticator.user(users, basic("alice:one too many"))
    finally:
        release.set()
        for thread in threads:
            thread.join()
