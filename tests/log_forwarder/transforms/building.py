"""Transforms, events and counters for the tests of transforms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from compose_agent.config import Given, Schema, Section, resolve
from log_forwarder.event import Event
from log_forwarder.transforms import Counters, Pipeline, TransformSettings, make_pipeline
from tests.log_forwarder.making import container

SCHEMA = Schema([Section("", TransformSettings, "Transforms")])
_STEP = 256


@dataclass
class Counted:
    """What was counted."""

    dropped: Counter[str] = field(default_factory=Counter)
    redacted: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    def counters(self) -> Counters:
        return Counters(
            lambda count, name: self.dropped.update({name: count}),
            lambda count, name: self.redacted.update({name: count}),
            lambda count, name: self.failed.update({name: count}),
        )


def settings(**given: object) -> TransformSettings:
    """Return the settings with these keys below ``logs.``; underscores stand for hyphens."""
    layer = {f"logs.{key.replace('_', '-')}": Given(value, "f.yml:1") for key, value in given.items()}
    return resolve(SCHEMA, [layer]).of(TransformSettings)


def pipeline(counted: Counted | None = None, **given: object) -> Pipeline:
    """Return the pipeline of a container without labels."""
    found, problems = make_pipeline(settings(**given), container(), (counted or Counted()).counters())
    assert not problems
    return found


def moment(seconds: float) -> str:
    """Return Docker's time so many seconds after a certain minute."""
    whole, nanos = divmod(round(seconds * 1_000_000_000), 1_000_000_000)
    return f"2026-01-02T{3 + whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}.{nanos:09d}Z"


def event(log: str, number: int = 0, stream: str = "stdout", at: float | None = None) -> Event:
    """Return the event with this number of a container's log; lines are a millisecond apart."""
    time = moment(number / 1000 if at is None else at)
    return Event(log, stream, time, None, f"0123456789ab.g1.{number * _STEP:010x}")


def events(logs: Iterable[str], first: int = 0) -> list[Event]:
    return [event(log, number) for number, log in enumerate(logs, first)]


def number_of(offset: int) -> int:
    """Return the number of the event at an offset."""
    return offset // _STEP


def fields_of(log: str, **given: object) -> dict[str, object] | None:
    """Return the fields that a line gets."""
    (found,) = pipeline(Counted(), **given).apply([event(log)])
    assert found.log == log
    return found.fields
