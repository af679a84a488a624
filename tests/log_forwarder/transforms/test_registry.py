"""What every registered transform keeps to, and what may be registered."""

from __future__ import annotations

import copy
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compose_agent.commands.roles import SCHEMA
from compose_agent.config import Option, kinds
from compose_agent.config.resolve import default_value
from compose_agent.errors import ComposeAgentError
from log_forwarder.event import Event
from log_forwarder.transforms.contract import Counters, Stage, Transform, TransformKind, Values
from log_forwarder.transforms.registry import ENTRY_POINT_GROUP, checked, foreign, options, registered
from log_forwarder.transforms.settings import TransformSettings
from tests.log_forwarder.transforms.building import Counted, event, pipeline

# For each transform, values that make it do something.
ACTIVE: dict[str, dict[str, object]] = {
    "multiline": {"multiline": "java"},
    "redact": {"redact": ["tokens", "url-passwords", "cards", "email", "ips"], "redact_pattern": r"cust-\d+"},
    "parse": {"parser": "json"},
    "level": {"level": "auto"},
    "timestamp": {"timestamp": "auto"},
    "trace": {"trace": "auto"},
    "filter": {"include_lines": "a", "exclude_lines": "b"},
    "sample": {"sample": "1/2"},
    "rate-limit": {"rate_limit": "5/s"},
}
lines = st.lists(
    st.tuples(
        st.text()
        | st.sampled_from(['{"level":30}', "a@b.example", "java.lang.Exception", "\tat x.Y(Z.java:1)"]),
        st.sampled_from(["stdout", "stderr"]),
    )
)


def given_events(drawn: list[tuple[str, str]]) -> list[Event]:
    return [event(log, number, stream) for number, (log, stream) in enumerate(drawn)]


def kind(name: str = "mine", key: str = "mine") -> TransformKind:
    def make(_values: Values, _counters: Counters) -> Transform | None:
        return None

    return TransformKind(name, "Mine.", Stage.FILTER, (Option(key, kinds.string, None, "Mine."),), make)


def test_every_transform_is_held_to_the_contract() -> None:
    assert set(ACTIVE) == {each.name for each in registered()}


def test_the_order_of_the_pipeline_is_fixed() -> None:
    assert [each.name for each in registered()] == list(ACTIVE)


@pytest.mark.parametrize("each", registered(), ids=lambda each: each.name)
def test_a_transform_explains_itself_and_is_off_by_default(each: TransformKind) -> None:
    assert each.help.endswith(".")
    assert each.keys
    assert all(option.help.endswith(".") for option in each.keys)
    values = {option.key: default_value(option) for option in each.keys}
    assert each.make(values, Counted().counters()) is None


@pytest.mark.parametrize("name", ACTIVE)
@given(drawn=lines)
def test_whatever_the_lines_every_event_comes_out_once_or_is_dropped_or_merged(
    name: str, drawn: list[tuple[str, str]]
) -> None:
    counted = Counted()
    found = pipeline(counted, **ACTIVE[name])
    out = [*found.apply(given_events(drawn)), *found.due(0.0, everything=True)]
    ids = [each.id for each in out]
    assert len(set(ids)) == len(ids)
    assert set(ids) <= {each.id for each in given_events(drawn)}
    if name != "multiline":
        assert len(out) + counted.dropped.total() == len(drawn)
    for stream in ("stdout", "stderr"):
        of_stream = [each.id for each in out if each.stream == stream]
        assert of_stream == sorted(of_stream)
    assert found.held() == ()


@pytest.mark.parametrize("name", [name for name in ACTIVE if name not in ("multiline", "redact")])
@given(drawn=lines)
def test_only_merging_and_redaction_change_the_text_of_a_line(
    name: str, drawn: list[tuple[str, str]]
) -> None:
    given = given_events(drawn)
    texts = {each.id: each.log for each in copy.deepcopy(given)}
    for each in pipeline(Counted(), **ACTIVE[name]).apply(given):
        assert each.log == texts[each.id]


def test_no_key_is_an_option_of_the_forwarder_already() -> None:
    others = [section for section in SCHEMA.sections if section.settings is not TransformSettings]
    taken = {section.full_key(bound) for section in others for bound in section.options()}
    assert not taken & {f"logs.{option.key}" for option in options()}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (["text"], "not a transform: 'text'"),
        ([kind(), kind(key="other")], "transform registered twice: mine"),
        ([kind(), kind("other")], "key of transforms registered twice: mine"),
    ],
)
def test_what_would_not_work_is_refused(given: list[Any], text: str) -> None:
    with pytest.raises(ComposeAgentError) as caught:
        checked(given)
    assert str(caught.value) == f"{text}: upgrade or remove the package that adds it"


@pytest.mark.parametrize("value", ["no_such_module_anywhere:TRANSFORM", "json:TRANSFORM"])
def test_an_entry_point_that_cannot_be_loaded_is_named(value: str) -> None:
    with pytest.raises(ComposeAgentError, match=f"the transform {value} cannot be loaded"):
        list(foreign([EntryPoint("mine", value, ENTRY_POINT_GROUP)]))


def test_an_entry_point_gives_its_object() -> None:
    (found,) = foreign([EntryPoint("mine", "log_forwarder.transforms.level:TRANSFORM", ENTRY_POINT_GROUP)])
    assert found.name == "level"
