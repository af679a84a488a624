"""The dashboards hold together: files, places, addresses, variables, words."""

from __future__ import annotations

import re
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.source import files
from lab.prometheus import promtool
from tests.dashboards.catalogue import ROOT
from tests.dashboards.files import DASHBOARDS, FOLDER, MAY_BE_EMPTY, PATHS, panels, queries, texts, variables
from tests.dashboards.promql import INTERVALS

UIDS = {dashboard["uid"]: dashboard for dashboard in DASHBOARDS.values()}
# Panels of Angular, which Grafana no longer has.
DEPRECATED = {"graph", "singlestat", "table-old", "grafana-piechart-panel"}


def test_every_file_is_made_from_the_source_and_is_current() -> None:
    made = files()
    assert {f"dashboards/{path.relative_to(FOLDER)}" for path in PATHS} == set(made)
    for path, make in made.items():
        assert (ROOT / path).read_text(encoding="utf-8") == make(), "run scripts/regenerate"


def test_regenerate_writes_every_one() -> None:
    source = (ROOT / "scripts" / "regenerate").read_text(encoding="utf-8")
    for path in files():
        assert f'"{path.removeprefix("dashboards/").removesuffix(".json")}"' in source


def test_uids_titles_and_panel_ids_are_there_once() -> None:
    assert len(UIDS) == len(DASHBOARDS)
    assert len({each["title"] for each in DASHBOARDS.values()}) == len(DASHBOARDS)
    for uid in UIDS:
        assert re.fullmatch(r"compose-agent-[a-z-]{1,26}", uid)


@pytest.mark.parametrize("path", DASHBOARDS)
def test_it_is_read_only_current_and_tagged(path: str) -> None:
    dashboard = DASHBOARDS[path]
    assert dashboard["schemaVersion"] >= 39
    assert dashboard["editable"] is False
    assert dashboard["tags"] == ["compose-agent"]
    assert dashboard["description"].endswith(".") or dashboard["description"].endswith("?")
    assert "id" not in dashboard, "Grafana gives its own"
    assert dashboard["refresh"] == "30s"


@pytest.mark.parametrize("path", DASHBOARDS)
def test_no_panel_covers_another_one_or_leaves_the_grid(path: str) -> None:
    def shown_together(dashboard: dict[str, Any]) -> list[list[dict[str, Any]]]:
        nested = [each["panels"] for each in dashboard["panels"] if each["type"] == "row" and each["panels"]]
        return [dashboard["panels"], *nested]

    for group in shown_together(DASHBOARDS[path]):
        places = [(each["title"], each["gridPos"]) for each in group]
        for _, place in places:
            assert 0 <= place["x"] < place["x"] + place["w"] <= 24
            assert place["h"] > 0
        for (one, a), (other, b) in combinations(places, 2):
            apart = (
                a["x"] + a["w"] <= b["x"]
                or b["x"] + b["w"] <= a["x"]
                or a["y"] + a["h"] <= b["y"]
                or b["y"] + b["h"] <= a["y"]
            )
            assert apart, f"{one} covers {other}"


@pytest.mark.parametrize("path", DASHBOARDS)
def test_every_panel_says_what_it_shows_in_a_unit(path: str) -> None:
    found = [*panels(DASHBOARDS[path])]
    ids = Counter(each["id"] for each in (*found, *DASHBOARDS[path]["panels"]) if each["type"] != "row")
    assert len(set(ids)) == len(found)
    assert len({each["title"] for each in found}) == len(found)
    for panel in found:
        assert panel["title"]
        assert panel["type"] not in DEPRECATED
        assert len(panel["description"]) > len("What."), panel["title"]
        if panel["type"] == "text":
            assert panel["options"]["content"].strip()
            continue
        assert panel["targets"]
        if panel["type"] != "table":
            assert panel["fieldConfig"]["defaults"]["unit"]


@pytest.mark.parametrize("path", DASHBOARDS)
def test_what_may_be_empty_says_so_in_the_panel_as_well(path: str) -> None:
    for panel in panels(DASHBOARDS[path]):
        reason = panel["description"].partition(MAY_BE_EMPTY)[2]
        assert reason == panel.get("fieldConfig", {"defaults": {}})["defaults"].get("noValue", "")


@pytest.mark.parametrize("path", DASHBOARDS)
def test_colours_of_words_are_not_all_there_is(path: str) -> None:
    """A state has a word beside its colour; a number with steps shows the number."""
    for panel in panels(DASHBOARDS[path]):
        if panel["type"] == "text":
            continue
        for override in panel["fieldConfig"]["overrides"]:
            for each in override["properties"]:
                if each["id"] == "mappings":
                    for mapping in each["value"]:
                        for shown, result in mapping["options"].items():
                            assert result.get("text") or not shown.isdigit()
        for mapping in panel["fieldConfig"]["defaults"]["mappings"]:
            assert all(result["text"] for result in mapping["options"].values())


@pytest.mark.parametrize("path", DASHBOARDS)
def test_everything_is_asked_of_the_chosen_data_source(path: str) -> None:
    dashboard = DASHBOARDS[path]
    known = variables(dashboard)
    assert known["datasource"]["type"] == "datasource"
    provisioned = {"prometheus", "-- Grafana --"}

    def sources(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["datasource"]["uid"]] if isinstance(value.get("datasource"), dict) else []
            return own + [uid for each in value.values() for uid in sources(each)]
        return [uid for each in value for uid in sources(each)] if isinstance(value, list) else []

    assert set(sources(dashboard)) <= {"${datasource}"} | provisioned


@pytest.mark.parametrize("path", DASHBOARDS)
def test_every_variable_that_is_named_is_there(path: str) -> None:
    dashboard = DASHBOARDS[path]
    named = {
        word
        for text in texts(dashboard)
        for word in re.findall(r"\$\{?([a-z_]\w*)", text)
        if not word.startswith("__")
    }
    assert named <= set(variables(dashboard))


def links() -> list[Any]:
    return [
        pytest.param(url, id=f"{path}: {url}")
        for path, dashboard in DASHBOARDS.items()
        for url in dict.fromkeys(text for text in texts(dashboard) if text.startswith("/d/"))
    ]


@pytest.mark.parametrize("url", links())
def test_every_link_leads_to_a_dashboard_that_takes_what_it_is_given(url: str) -> None:
    check_address(url)


def check_address(url: str) -> None:
    """Assert that the dashboard, the variables and the panel of an address are there."""
    match = re.match(r"/d/([\w-]+)(?:\?(.*))?$", url)
    assert match
    target = UIDS[match[1]]
    for part in filter(None, (match[2] or "").split("&")):
        name = part.partition("=")[0]
        if name.startswith("var-"):
            assert name.removeprefix("var-") in variables(target)
        elif name == "viewPanel":
            assert int(part.partition("=")[2]) in {each["id"] for each in panels(target)}
        else:
            assert re.fullmatch(r"\$\{(datasource|instance):queryparam\}|\$\{__url_time_range\}", part)


@pytest.mark.engine
@pytest.mark.parametrize("suite", [None, "forky"])
def test_prometheus_itself_reads_every_query(suite: str | None, tmp_path: Path) -> None:
    exprs = [expr for dashboard in DASHBOARDS.values() for _, expr in queries(dashboard)]
    for word, value in INTERVALS.items():
        exprs = [expr.replace(word, value) for expr in exprs]
    rules = [{"record": f"query:{number}", "expr": expr} for number, expr in enumerate(exprs)]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}), encoding="utf-8")
    checked = promtool("check", "rules", str(file), suite=suite)
    assert checked.returncode == 0, checked.stderr


def test_the_home_page_has_few_panels_in_sight() -> None:
    for dashboard in DASHBOARDS.values():
        in_sight = [each for each in dashboard["panels"] if each["type"] != "row"]
        assert len(in_sight) <= 30, dashboard["title"]
