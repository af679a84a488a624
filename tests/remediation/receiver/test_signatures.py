from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

import pytest

from remediation.receiver import signatures
from remediation.receiver.refusal import Refusal, Why
from remediation.receiver.signatures import WINDOW_SECONDS, Replays, Signatures, sign

BODY = b'{"version":"4"}'
NOW = 1_800_000_000


@dataclass
class World:
    """Keys, and a clock that a test sets."""

    keys: list[bytes] = field(default_factory=lambda: [b"new key", b"old key"])
    now: float = NOW

    def __post_init__(self) -> None:
        self.replays = Replays(lambda: self.now)
        self.signatures = Signatures(lambda: self.keys, self.replays, lambda: self.now)

    def check(self, at: int | str = NOW, key: bytes = b"old key", body: bytes = BODY) -> bytes:
        return self.signatures.check(str(at), sign(key, str(at), body), body)

    def why(self, at: int | str, signature: str, body: bytes = BODY) -> Why:
        with pytest.raises(Refusal) as refused:
            self.signatures.check(str(at), signature, body)
        assert refused.value.status in {401, 429}
        return refused.value.why


@pytest.fixture
def world() -> World:
    return World()


def test_the_signature_is_what_the_documentation_says() -> None:
    expected = hmac.new(b"key", b"1800000000." + BODY, hashlib.sha256).hexdigest()
    assert sign(b"key", "1800000000", BODY) == f"sha256={expected}"


def test_any_of_the_keys_will_do_until_it_goes(world: World) -> None:
    world.check(key=b"old key")
    world.check(key=b"new key")
    world.keys.remove(b"old key")
    assert world.why(NOW + 1, sign(b"old key", str(NOW + 1), BODY)) is Why.WRONG_SIGNATURE


def test_hexadecimal_in_capitals_is_the_same_signature(world: World) -> None:
    world.signatures.check(str(NOW), sign(b"old key", str(NOW), BODY).upper(), BODY)
    assert world.why(NOW, sign(b"old key", str(NOW), BODY)) is Why.REPLAYED


@pytest.mark.parametrize(
    ("at", "signature"),
    [
        (NOW, ""),
        (NOW, "sha256="),
        (NOW, sign(b"other key", str(NOW), BODY)),
        (NOW, sign(b"old key", str(NOW), BODY + b" ")),
        (NOW, sign(b"old key", str(NOW + 1), BODY)),
        (NOW, sign(b"old key", str(NOW), BODY).removeprefix("sha256=")),
        (NOW, "sha256=ÿ\x00"),
        ("", sign(b"old key", "", BODY)),
        ("-5", sign(b"old key", "-5", BODY)),
        ("1e9", sign(b"old key", "1e9", BODY)),
        ("١٨", sign(b"old key", "١٨", BODY)),
        ("9" * 5000, sign(b"old key", "9" * 5000, BODY)),
    ],
)
def test_what_is_not_signed_rightly_is_refused(world: World, at: int | str, signature: str) -> None:
    assert world.why(at, signature) is Why.WRONG_SIGNATURE


@pytest.mark.parametrize(("offset", "taken"), [(-300, True), (300, True), (-301, False), (301, False)])
def test_a_time_is_believed_within_the_window(world: World, offset: int, taken: bool) -> None:
    at = NOW + offset
    if taken:
        world.check(at)
    else:
        assert world.why(at, sign(b"old key", str(at), BODY)) is Why.STALE_SIGNATURE


@pytest.mark.parametrize("after", [0, 1, 299, 301, 599, 600])
def test_a_request_is_taken_once_for_as_long_as_its_time_is_believed(world: World, after: int) -> None:
    at = NOW + int(WINDOW_SECONDS)  # of a clock that goes before
    world.check(at)
    world.now += after
    assert world.why(at, sign(b"old key", str(at), BODY)) is Why.REPLAYED


@pytest.mark.parametrize("begun", [0.0, 299.0, 599.9])
def test_it_is_remembered_whenever_the_memory_turns(begun: float) -> None:
    world = World(now=NOW - begun)
    world.now = NOW
    world.check()
    for _ in range(3):
        world.now += 99
        world.check(int(world.now))
        assert world.why(NOW, sign(b"old key", str(NOW), BODY)) is Why.REPLAYED


def test_what_nothing_became_of_may_come_again(world: World) -> None:
    world.replays.forget(world.check())
    world.check()


def test_the_memory_is_bounded_and_forgets(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signatures, "MOST_REMEMBERED", 2)
    world.check(NOW)
    world.check(NOW + 1)
    assert world.why(NOW + 2, sign(b"old key", str(NOW + 2), BODY)) is Why.BUSY
    world.now += 601
    world.check(int(world.now))
    world.now += 2000
    world.check(int(world.now))
    assert len(world.replays._young) == 1
    assert not world.replays._old
