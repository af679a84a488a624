"""What dashboards ask for is there: every metric, with that type and these labels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.dashboards.catalogue import Family, everything, labels_by_name
from tests.dashboards.files import DASHBOARDS, panels, queries, variables
from tests.dashboards.promql import BORN, labels_of, parse, uses

RATES = {"rate", "irate", "increase"}
# The Engine's own count of a run's restarts and the count of kills are shown as they are.
SHOWN_AS_THEY_ARE = {"docker_container_restarts_total", "docker_container_oom_kills_total"}
# What is of a Prometheus, and not of a host.
OF_NO_HOST = re.compile(r"ALERTS|prometheus_.*|alertmanager_.*")
# Sums over all hosts that Prometheus scrapes, chosen by project.
OF_ALL_HOSTS = {"CPU of the bundle's containers", "Memory of the bundle's containers"}


def asked() -> Iterator[Any]:
    for path, dashboard in DASHBOARDS.items():
        for title, expr in queries(dashboard):
            yield pytest.param(title, expr, id=f"{path}: {title}")


@pytest.fixture(scope="module")
def known() -> dict[str, Family]:
    return everything()


@pytest.mark.parametrize(("title", "expr"), [*asked()])
def test_every_query_names_series_and_labels_that_there_are(
    known: dict[str, Family], title: str, expr: str
) -> None:
    labels_of(parse(expr), labels_by_name(known))
    for use in uses(parse(expr)):
        family = known[
            re.sub(r"_(bucket|sum|count)$", "", use.metric) if use.metric not in known else use.metric
        ]
        counts = family.type in {"counter", "histogram"}
        if use.function == BORN:
            assert family.type in {"counter", "histogram"}, use.metric
        elif use.function in RATES:
            assert counts, f"{title}: {use.metric} is no counter"
        elif counts:
            assert use.metric in SHOWN_AS_THEY_ARE, f"{title}: {use.metric} only ever grows"


@pytest.mark.parametrize(("title", "expr"), [*asked()])
def test_every_query_keeps_to_the_chosen_hosts(title: str, expr: str) -> None:
    found = [use for use in uses(parse(expr)) if not OF_NO_HOST.fullmatch(use.metric)]
    if not found or title in OF_ALL_HOSTS:
        return
    chosen = {**found[0].matched}
    assert "$instance" in chosen.get("instance", "")
    assert chosen.get("job", "") in {"$job", "$part", "$broker_job", ""}


@pytest.mark.parametrize(("title", "expr"), [*asked()])
def test_rates_are_over_an_interval_that_fits_the_scrapes(title: str, expr: str) -> None:
    spans = re.findall(r"(\w+)\([^()\[\]]*\[([^\]]+)\]", expr)
    for function, span in spans:
        # What is counted within a time of its own says so in its title or description.
        assert function in {"increase", "predict_linear"} or span in {"$__rate_interval", "1h", "1d"}, title


def with_legends() -> Iterator[Any]:
    for path, dashboard in DASHBOARDS.items():
        for panel in panels(dashboard):
            for target in panel.get("targets", []):
                yield pytest.param(panel, target, id=f"{path}: {panel['title']} {target['refId']}")


@pytest.mark.parametrize(("panel", "target"), [*with_legends()])
def test_legends_and_links_name_labels_of_the_result(
    known: dict[str, Family], panel: dict[str, Any], target: dict[str, Any]
) -> None:
    labels = labels_of(parse(target["expr"]), labels_by_name(known))
    defaults = panel["fieldConfig"]["defaults"]
    named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
    named |= {
        label for link in defaults["links"] for label in re.findall(r"__field\.labels\.(\w+)", link["url"])
    }
    assert named <= labels


@pytest.mark.parametrize("path", DASHBOARDS)
def test_tables_show_fields_that_their_queries_give(known: dict[str, Family], path: str) -> None:
    for panel in panels(DASHBOARDS[path]):
        if panel["type"] != "table":
            continue
        of_each = [labels_of(parse(each["expr"]), labels_by_name(known)) for each in panel["targets"]]
        letters = [each["refId"] for each in panel["targets"]]
        values = {"Value"} if len(letters) == 1 else {f"Value #{letter}" for letter in letters}
        organize = next(each for each in panel["transformations"] if each["id"] == "organize")
        shown = organize["options"]["renameByName"]
        assert shown.keys() <= frozenset().union(*of_each) | values, panel["title"]
        titles = set(shown.values())
        for override in panel["fieldConfig"]["overrides"]:
            assert override["matcher"]["options"] in titles
            for field in re.findall(r"__data\.fields\.(\w+)", str(override)):
                assert field in titles


@pytest.mark.parametrize("path", DASHBOARDS)
def test_variables_are_values_of_labels_that_there_are(known: dict[str, Family], path: str) -> None:
    for variable in variables(DASHBOARDS[path]).values():
        if variable["type"] == "datasource":
            continue
        inner = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
        assert inner, variable["name"]
        assert inner[2] in labels_of(parse(inner[1]), labels_by_name(known))
        assert variable["refresh"] == 2, "values change with the time that is looked at"
