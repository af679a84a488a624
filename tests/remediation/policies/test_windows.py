from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.policies.windows import Window, blocked_until, parse_window, window

BERLIN = ZoneInfo("Europe/Berlin")
WEEK = frozenset(range(7))


def at(text: str, zone: ZoneInfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def utc(text: str) -> float:
    return at(text, ZoneInfo("UTC"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mo-Fr 22:00-06:00 Europe/Berlin", Window(frozenset(range(5)), 1320, 360, "Europe/Berlin")),
        ("Sat,Sun", Window(frozenset({5, 6}), 0, 1440)),
        ("sat, SUNDAY  UTC", Window(frozenset({5, 6}), 0, 1440)),
        ("Fr-Mo 8:00-9:30", Window(frozenset({4, 5, 6, 0}), 480, 570)),
        ("Mo,We-Fr", Window(frozenset({0, 2, 3, 4}), 0, 1440)),
        ("02:00-04:00", Window(WEEK, 120, 240)),
        (
            "02:00 - 24:00 America/Argentina/Buenos_Aires",
            Window(WEEK, 120, 1440, "America/Argentina/Buenos_Aires"),
        ),
        ("Sun-Sun 00:00-01:00", Window(frozenset({6}), 0, 60)),
    ],
)
def test_a_window_is_read(text: str, expected: Window) -> None:
    assert window.read(text) == expected
    assert parse_window(str(expected)) == expected


EXPECTED = "expected a window such as Mo-Fr 22:00-06:00 Europe/Berlin, or Sat,Sun, not "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", EXPECTED + "''"),
        ("Europe/Berlin", EXPECTED + "'Europe/Berlin'"),
        ("Mo-We-Fr", EXPECTED + "'Mo-We-Fr'"),
        ("22:00", EXPECTED + "'22:00'"),
        ("Mo 22-06", EXPECTED + "'Mo 22-06'"),
        ("Mo22:00-23:00", EXPECTED + "'Mo22:00-23:00'"),
        ("Mondey", "'Mondey' is no day of the week, did you mean 'monday'?"),
        ("T 10:00-11:00", "'T' is no day of the week"),
        ("25:00-26:00", "'25:00' is no time of day"),
        ("10:60-11:00", "'10:60' is no time of day"),
        ("10:00-10:00", "'10:00-10:00' has no length: for a whole day leave out the times"),
        ("Sat Europe/Berln", "there is no time zone 'Europe/Berln', did you mean 'Europe/Berlin'?"),
        ("Sat ../../etc/passwd", EXPECTED + "'Sat ../../etc/passwd'"),
    ],
)
def test_what_is_no_window_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"expected|is no|has no|there is") as raised:
        window.read(text)
    assert str(raised.value) == message


NIGHTS = parse_window("Mo-Fr 22:00-06:00 Europe/Berlin")


@pytest.mark.parametrize(
    ("when", "end"),
    [
        ("2026-07-06T21:59:59", None),  # a Monday
        ("2026-07-06T22:00", "2026-07-07T06:00"),
        ("2026-07-07T05:59:59", "2026-07-07T06:00"),
        ("2026-07-07T06:00", None),
        ("2026-07-06T03:00", None),  # the night of Sunday
        ("2026-07-11T05:00", "2026-07-11T06:00"),  # the night of Friday goes on into Saturday
        ("2026-07-11T22:30", None),
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins(when: str, end: str | None) -> None:
    assert NIGHTS.end_of(at(when)) == (at(end) if end else None)
    assert NIGHTS.contains(at(when)) is (end is not None)


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        # Spring: 02:00 is followed by 03:00, at 01:00 UTC.
        ("Sun 01:00-03:00", "2026-03-29T00:00", "2026-03-29T01:00"),
        ("Sun 01:00-02:30", "2026-03-29T00:00", "2026-03-29T01:30"),
        ("Sun 02:30-04:00", "2026-03-29T00:30", "2026-03-29T02:00"),
        ("Sun", "2026-03-28T23:00", "2026-03-29T22:00"),
        # Autumn: 03:00 is followed by 02:00, at 01:00 UTC.
        ("Sun 01:00-02:30", "2026-10-24T23:00", "2026-10-25T01:30"),
        ("Sun 02:30-04:00", "2026-10-25T00:30", "2026-10-25T03:00"),
        ("Sat 22:00-02:00", "2026-10-24T20:00", "2026-10-25T01:00"),
        ("Sun", "2026-10-24T22:00", "2026-10-25T23:00"),
    ],
)
def test_a_change_of_the_clocks_makes_a_window_no_shorter_than_the_clocks_say(
    text: str, begin: str, end: str
) -> None:
    found = parse_window(f"{text} Europe/Berlin")
    assert not found.contains(utc(begin) - 1)
    assert found.end_of(utc(begin)) == utc(end)
    assert found.contains(utc(end) - 1)
    assert not found.contains(utc(end))


windows = st.builds(
    lambda days, begin, length, zone: Window(days, begin, (begin + length) % 1440, zone),
    st.frozensets(st.integers(0, 6), min_size=1),
    st.integers(0, 1439),
    st.integers(1, 1439),
    st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia"]),
)
# Years of many changes, one of Apia's without a certain Friday among them.
moments = st.floats(1262304000, 1798761600, allow_nan=False)


@given(windows, moments)
def test_the_end_is_the_first_moment_outside(found: Window, when: float) -> None:
    end = found.end_of(when)
    if end is None:
        assert blocked_until([found], when) is None
        return
    assert when < end <= when + 86400 + 2 * 3600
    # Where two of a window touch or overlap, by a change of the clocks, the next one goes on.
    assert not found.contains(end) or (found.end_of(end) or 0) > end
    assert found.contains((when + end) / 2)


@given(windows, moments)
def test_a_window_without_changes_of_the_clocks_is_what_the_clock_shows(found: Window, when: float) -> None:
    plain = Window(found.days, found.begin, found.end)
    now = datetime.fromtimestamp(when, ZoneInfo("UTC"))
    minute, day = now.hour * 60 + now.minute, now.weekday()
    if plain.end > plain.begin:
        expected = day in plain.days and plain.begin <= minute < plain.end
    else:
        expected = (day in plain.days and minute >= plain.begin) or (
            (day - 1) % 7 in plain.days and minute < plain.end
        )
    assert plain.contains(when) is expected


@given(windows, moments)
def test_what_is_written_is_read_again(found: Window, when: float) -> None:
    assert parse_window(str(found)).end_of(when) == found.end_of(when)


@pytest.mark.parametrize(
    ("texts", "when", "until"),
    [
        ((), "2026-07-11T12:00", None),
        (("Sat,Sun",), "2026-07-11T12:00", "2026-07-13T00:00"),
        (("Sat,Sun", "Mo 00:00-06:00"), "2026-07-11T12:00", "2026-07-13T06:00"),
        (("Sat,Sun", "Mo 00:30-06:00"), "2026-07-11T12:00", "2026-07-13T00:00"),
        (("Sat", "Sat 11:00-13:00"), "2026-07-11T12:00", "2026-07-12T00:00"),
        (("Mo-Sun",), "2026-07-11T12:00", "2026-07-19T00:00"),
    ],
)
def test_windows_that_follow_one_another_are_one(
    texts: tuple[str, ...], when: str, until: str | None
) -> None:
    found = [parse_window(text) for text in texts]
    assert blocked_until(found, utc(when)) == (utc(until) if until else None)
