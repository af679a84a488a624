"""Our text against prometheus-client: its parsers, and its own rendering of the same values."""

import math
import string
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.openmetrics import exposition as openmetrics_exposition
from prometheus_client.registry import Collector

from exporter import exposition
from exporter.exposition import (
    MAX_LABEL_CHARACTERS,
    MAX_NAME_CHARACTERS,
    Prepared,
    container_label_text,
    escape,
    header,
    layout,
    render,
)
from exporter.families import CONTAINER_LABELS, Family, Values
from tests.exporter.build import box
from tests.exporter.parsed import families, series

# What may come: text of any kind, what the formats give a meaning to, and what is no UTF-8.
HOSTILE = st.one_of(
    st.text(alphabet=st.characters(), max_size=30),
    st.text(alphabet='"\\\n\r\x00%{}=,# su\t\x85\u2028\ud800\udfff😀', max_size=30),
    st.sampled_from(
        ["x" * 65536, "%s%d%(a)s", '\\"', "\\n", "\\", '"', "\n", "\x00", "{}", "# EOF\n", "💥" * 300]
    ),
)
NUMBERS = st.one_of(
    st.integers(min_value=-(2**70), max_value=2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, 1, 2**63, 2**64 - 1, 1e16, 1e-7, 0.1 + 0.2, 5e-324, 1.7976931348623157e308]),
)
COUNTS = st.one_of(
    st.integers(min_value=0, max_value=2**70), st.floats(min_value=0, allow_nan=False, allow_infinity=False)
)
FAMILIES = (
    Family("t_plain_total", "counter", 'Help with \\ and "quotes"\nand a second line.'),
    Family("t_state", "gauge", "By one label.", ("state",)),
    Family("t_pairs", "gauge", "By two labels.", ("one", "two")),
    Family("t_what_info", "info", "Names differ."),
    Family("t_flag", "gauge", ""),
)
PAIRS = st.lists(
    st.tuples(
        st.text(alphabet=string.ascii_letters + "_", min_size=1, max_size=8).map("label_".__add__), HOSTILE
    ),
    unique_by=lambda pair: pair[0],
    max_size=4,
).map(tuple)
VALUES = st.tuples(
    st.none() | COUNTS,
    st.none() | st.dictionaries(HOSTILE, NUMBERS, max_size=4),
    st.none() | st.dictionaries(st.tuples(HOSTILE, HOSTILE), NUMBERS, max_size=4),
    st.none() | st.dictionaries(PAIRS, st.just(1), max_size=1),
    st.none() | NUMBERS,
)
CONTAINERS = st.lists(st.tuples(HOSTILE, HOSTILE, HOSTILE, VALUES), max_size=4)


def shown(value: str, longest: int = MAX_LABEL_CHARACTERS) -> str:
    """Return what a reader must get for a label value, in other words than the code's."""
    if len(value) > longest:
        value = value[: longest - 1] + "…"
    return "".join("?" if 0xD800 <= ord(c) <= 0xDFFF else "\ufffd" if c == "\x00" else c for c in value)


def distinct(values: Values, longest: int = MAX_LABEL_CHARACTERS) -> bool:
    """Tell whether no two label values become one by what is done to them."""
    for value in values:
        if isinstance(value, Mapping):
            seen = [shown(key, longest) if isinstance(key, str) else tuple(map(str, key)) for key in value]
            if len(set(seen)) < len(seen):
                return False
    return True


class Oracle(Collector):
    """The same values as prometheus-client's own families."""

    def __init__(self, rows: Iterable[tuple[Mapping[str, str], Values]]) -> None:
        self.rows = list(rows)

    def collect(self) -> Iterable[Metric]:
        for n, family in enumerate(FAMILIES):
            yield self._family(family, [(labels, values[n]) for labels, values in self.rows])

    def _family(self, family: Family, rows: list[tuple[Mapping[str, str], Any]]) -> Metric:
        kinds = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "info": InfoMetricFamily}
        metric: Metric = kinds[family.type](family.base, family.help, labels=[])
        for labels, value in rows:
            for own, number in _each(family, value):
                metric.add_sample(family.name, {**labels, **own}, number)
        return metric


def _each(family: Family, value: Any) -> Iterable[tuple[dict[str, str], float]]:
    if value is None:
        return
    if not isinstance(value, Mapping):
        yield {}, value
        return
    for own, number in value.items():
        keys: Any = (own,) if isinstance(own, str) else own
        pairs = zip(family.labels, keys, strict=True) if family.labels else keys
        yield {name: shown(text) for name, text in pairs}, number


def ours(rows: Iterable[tuple[str, Values]], *, openmetrics: bool) -> str:
    texts = [render(FAMILIES, values, labels) for labels, values in rows]
    return "".join(layout(FAMILIES, texts, openmetrics=openmetrics)) + ("# EOF\n" if openmetrics else "")


def theirs(rows: Iterable[tuple[Mapping[str, str], Values]], *, openmetrics: bool) -> str:
    registry = CollectorRegistry()
    registry.register(Oracle(rows))
    generate = openmetrics_exposition.generate_latest if openmetrics else generate_latest
    return generate(registry).decode()


def described(text: str) -> dict[str, tuple[str, str]]:
    return {each.name: (each.type, each.documentation) for each in families(text) if each.samples}


@pytest.mark.parametrize("openmetrics", [False, True])
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(rows=CONTAINERS)
def test_whatever_stands_in_it_the_text_means_what_prometheus_clients_own_does(
    openmetrics: bool, rows: list[tuple[str, str, str, Values]]
) -> None:
    rows = [row for row in rows if distinct(row[3])]
    containers = [
        box(
            f"{n:012x}" + "0" * 52,
            name=name,
            labels={"com.docker.compose.project": project, "com.docker.compose.service": service},
        )
        for n, (name, project, service, _) in enumerate(rows)
    ]
    known = [
        [
            shown(each, MAX_NAME_CHARACTERS)
            for each in (c.name, c.short_id, c.compose_project, c.compose_service)
        ]
        for c in containers
    ]
    values = [row[3] for row in rows]
    text = ours(zip(map(container_label_text, containers), values, strict=True), openmetrics=openmetrics)
    labels = [dict(zip(CONTAINER_LABELS, each, strict=True)) for each in known]
    oracle = theirs(zip(labels, values, strict=True), openmetrics=openmetrics)
    assert series(text) == series(oracle)
    assert described(text) == described(oracle)


@given(before=VALUES, after=VALUES)
@settings(max_examples=100)
def test_a_prepared_template_gives_what_a_new_one_would(before: Values, after: Values) -> None:
    prepared = Prepared(FAMILIES, 'name="web"')
    for values in (before, before, after, before):
        assert prepared.render(values) == list(render(FAMILIES, values, 'name="web"'))


def test_a_template_is_made_anew_when_interfaces_change_and_only_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[object] = []
    template = exposition.template

    def counting(*args: Any) -> str:
        made.append(args)
        return template(*args)

    monkeypatch.setattr(exposition, "template", counting)
    prepared = Prepared((FAMILIES[1],), "")
    for values in (
        {"eth0": 1},
        {"eth0": 2},
        {"eth0": 2, "eth1": 1},
        {"eth0": 9, "eth1": 9},
        {"eth1": 3},
        None,
    ):
        prepared.render((values,))
    assert len(made) == 4


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, "1"),
        (0, "0"),
        (2**64 - 1, "18446744073709551615"),
        (0.5, "0.5"),
        (1e-07, "1e-07"),
        (1e16, "1e+16"),
        (True, "1"),
        (False, "0"),
    ],
)
def test_a_number_has_its_shortest_exact_form(value: float, expected: str) -> None:
    assert render((FAMILIES[4],), (value,))[0] == f"t_flag {expected}\n"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("openmetrics", [False, True])
def test_what_is_no_finite_number_still_parses(value: float, openmetrics: bool) -> None:
    (read,) = series(ours([("", (None, None, None, None, value))], openmetrics=openmetrics)).values()
    assert read == value or (math.isnan(read) and math.isnan(value))


@pytest.mark.parametrize("value", ["5", [5], {"a": None}, {"a": "5"}, object(), {"a": [1]}])
def test_what_is_no_number_is_an_error_and_never_text(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        render((FAMILIES[1],), (value,))


@pytest.mark.parametrize("values", [(), (1,), (1, 2, 3)])
def test_as_many_values_as_families_are_needed(values: Values) -> None:
    with pytest.raises(ValueError, match="zip"):
        render(FAMILIES[:2], values)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", ""),
        ("plain", "plain"),
        ('a"b', r"a\"b"),
        ("a\\b", r"a\\b"),
        ("a\nb", r"a\nb"),
        ("a\x00b", "a\ufffdb"),
        ("\ud800", "?"),
        ("a\r\tb", "a\r\tb"),
        ("%s", "%s"),
        ("😀", "😀"),
        ("123456", "1234…"),
        ("\\\\\\\\\\\\", r"\\\\\\\\…"),
    ],
)
def test_a_label_value_is_escaped_and_cut(value: str, expected: str) -> None:
    assert escape(value, 5) == expected if len(value) > 5 else escape(value) == expected


def test_text_describes_an_info_as_a_gauge_and_openmetrics_does_not() -> None:
    assert header(FAMILIES[3], openmetrics=False) == (
        "# HELP t_what_info Names differ.\n# TYPE t_what_info gauge\n"
    )
    assert header(FAMILIES[3], openmetrics=True) == "# HELP t_what Names differ.\n# TYPE t_what info\n"


def test_help_is_escaped_as_each_format_has_it() -> None:
    text, openmetrics = (header(FAMILIES[0], openmetrics=each).splitlines()[0] for each in (False, True))
    assert text == r'# HELP t_plain_total Help with \\ and "quotes"\nand a second line.'
    assert openmetrics == r"# HELP t_plain Help with \\ and \"quotes\"\nand a second line."


def test_a_family_without_series_has_no_header() -> None:
    rows = [render(FAMILIES, (None, {}, None, None, 1)), render(FAMILIES, (None, None, {}, None, None))]
    assert (
        "".join(layout(FAMILIES, rows, openmetrics=False))
        == "# HELP t_flag \n# TYPE t_flag gauge\nt_flag 1\n"
    )


def test_no_rows_give_no_text() -> None:
    assert list(layout(FAMILIES, [], openmetrics=False)) == []


def test_the_lines_of_a_family_stand_together() -> None:
    rows = [render(FAMILIES[:2], (n, {"a": n}), f'id="{n}"') for n in range(3)]
    lines = "".join(layout(FAMILIES[:2], rows, openmetrics=False)).splitlines()
    names = [line.split("{")[0] for line in lines if not line.startswith("#")]
    assert names == ["t_plain_total"] * 3 + ["t_state"] * 3
