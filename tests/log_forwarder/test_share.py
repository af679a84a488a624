from __future__ import annotations

import secrets

import pytest

from log_forwarder.share import ID_DIGITS, Share


def test_each_container_is_of_one_share_whether_its_id_is_whole_or_short() -> None:
    shares = [Share(index, 3) for index in range(3)]
    for _ in range(100):
        container = secrets.token_hex(32)
        (mine,) = [share for share in shares if share.has(container)]
        assert mine.has(container[:ID_DIGITS])


def test_shares_are_about_equal() -> None:
    containers = [secrets.token_hex(32) for _ in range(1000)]
    for index in range(4):
        assert 150 < sum(Share(index, 4).has(each) for each in containers) < 350


def test_the_whole_has_everything() -> None:
    assert Share().is_whole
    assert Share().has(secrets.token_hex(32))
    assert Share().of(10) == 10


def test_a_share_is_a_word() -> None:
    assert str(Share(1, 4)) == "1/4"
    assert Share.parse("1/4") == Share(1, 4)
    assert Share(1, 4).of(10) == 2


@pytest.mark.parametrize("word", ["", "1", "4/4", "-1/4", "a/b", "0/0"])
def test_what_is_no_share_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Share.parse(word)
