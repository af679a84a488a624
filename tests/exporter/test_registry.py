"""What may be registered: built-in collectors, those of other packages, and what is refused."""

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from compose_agent.errors import ComposeAgentError
from exporter import measure
from exporter.collectors import ENTRY_POINT_GROUP, checked, foreign, registered
from exporter.families import Family, HostCollector, InventoryCollector, UsageCollector

ROOT = Path(__file__).parents[2]
NO_LIFECYCLE = "is of lifecycle and not a container's counter without labels of its own"
GAUGE = Family("t_one", "gauge", "One.")


def host(*families: Family, name: str = "mine") -> HostCollector:
    return HostCollector(name=name, help="mine", families=families, make=lambda _: lambda _: ())


def boxes(*families: Family) -> InventoryCollector:
    return InventoryCollector(name="mine", help="mine", families=families, make=lambda _: lambda _: ())


def usage(*families: Family) -> UsageCollector:
    return UsageCollector(name="mine", help="mine", families=families, make=lambda _: lambda _: ())


def test_what_is_built_in_is_accepted() -> None:
    assert len(registered()) >= 14
    assert checked(registered()) == registered()


@pytest.mark.parametrize(
    ("collectors", "text"),
    [
        ([host(GAUGE), host(name="mine")], "collector registered twice: mine"),
        ([host(GAUGE), host(GAUGE, name="other")], "metric family registered twice: t_one"),
        ([host(GAUGE, GAUGE)], "metric family registered twice: t_one"),
        (
            [host(Family("t_one_total", "counter", "")), host(GAUGE, name="other")],
            "metric family registered twice: t_one",
        ),
        ([host(GAUGE, name="usage")], "collector registered twice: usage"),
        ([host(measure.SUCCESS)], f"metric family registered twice: {measure.SUCCESS.name}"),
        (["text"], "not a collector: 'text'"),
        ([host(Family("no name", "gauge", ""))], "collector mine: 'no name' is no name of a metric"),
        ([host(Family("1st", "gauge", ""))], "collector mine: '1st' is no name of a metric"),
        ([host(Family("t_ü", "gauge", ""))], "collector mine: 't_ü' is no name of a metric"),
        (
            [host(Family("t_one", "counter", ""))],
            "collector mine: t_one is of type counter and does not end in _total",
        ),
        (
            [host(Family("t_one", "info", ""))],
            "collector mine: t_one is of type info and does not end in _info",
        ),
        ([host(Family("t_one", "gauge", "", ("a-b",)))], "collector mine: t_one cannot have the label 'a-b'"),
        ([host(Family("t_one", "gauge", "", ("a", "a")))], "collector mine: t_one cannot have the label 'a'"),
        (
            [boxes(Family("t_one", "gauge", "", ("name",)))],
            "collector mine: t_one cannot have the label 'name'",
        ),
        ([usage(Family("t_one", "gauge", "", ("id",)))], "collector mine: t_one cannot have the label 'id'"),
        (
            [boxes(Family("t_one", "gauge", "", lifecycle=True))],
            f"collector mine: t_one {NO_LIFECYCLE}",
        ),
        (
            [host(Family("t_one_total", "counter", "", lifecycle=True))],
            f"collector mine: t_one_total {NO_LIFECYCLE}",
        ),
    ],
)
def test_what_would_make_the_exposition_invalid_is_refused(collectors: list[Any], text: str) -> None:
    with pytest.raises(ComposeAgentError) as caught:
        checked(collectors)
    assert str(caught.value) == f"{text}: upgrade or remove the package that adds it"


def test_a_label_of_a_host_may_be_called_as_one_of_containers() -> None:
    assert checked([host(Family("t_one", "gauge", "", ("name", "compose_project")))])


def test_built_in_families_are_not_those_of_the_exporter_itself() -> None:
    from compose_agent.role import ConfigState  # noqa: PLC0415
    from exporter.selfmetrics import SelfMetrics  # noqa: PLC0415

    own = {each.name for each in SelfMetrics(ConfigState()).registry.collect()}
    assert not own & {family.base for each in registered() for family in each.families}


@pytest.mark.parametrize("value", ["no_such_module_anywhere:COLLECTOR", "json:COLLECTOR", "antigravity.x:y"])
def test_an_entry_point_that_cannot_be_loaded_is_named(value: str) -> None:
    with pytest.raises(ComposeAgentError, match=f"the collector {value} cannot be loaded"):
        list(foreign([EntryPoint("mine", value, ENTRY_POINT_GROUP)]))


def test_an_entry_point_gives_its_object() -> None:
    entry = EntryPoint("mine", "exporter.collectors.engine:COLLECTOR", ENTRY_POINT_GROUP)
    (found,) = foreign([entry])
    assert found.name == "engine"


MODULE = """
from exporter.families import Family, HostCollector

COLLECTOR = HostCollector(
    name="acme",
    help="what Acme counts",
    families=(Family("acme_widgets", "gauge", "Widgets."),),
    make=lambda settings: lambda scrape: (len(scrape.containers),),
    default=False,
)
"""
PROGRAM = """
from tests.exporter.build import box, scraper, settings, text, world
from exporter.collectors import registered
print([each.name for each in registered()][-1], settings().collectors["acme"])
print("acme_widgets" in text(scraper(world(box()))))
print("acme_widgets 1\\n" in text(scraper(world(box()), switches={"acme": True})))
"""


def test_the_collector_of_an_installed_package_has_a_switch_and_is_scraped(tmp_path: Path) -> None:
    (tmp_path / "acme_metrics.py").write_text(MODULE)
    package = tmp_path / "acme_metrics-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-metrics\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\nacme = acme_metrics:COLLECTOR\n")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["acme False", "False", "True"]
