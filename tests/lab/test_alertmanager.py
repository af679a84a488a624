from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import LabError
from lab.alertmanager import LINES, Alertmanager, alert, amtool, pair, to_webhook

pytestmark = pytest.mark.engine

NOWHERE = to_webhook("http://127.0.0.1:1/webhook")


@pytest.fixture(scope="module", params=LINES)
def alertmanager(request: pytest.FixtureRequest) -> Iterator[Alertmanager]:
    with Alertmanager(NOWHERE, line=request.param) as started:
        yield started


def test_alerts_that_are_posted_fire(alertmanager: Alertmanager) -> None:
    alertmanager.post_alerts([alert("Posted", name="web")])

    assert [each["labels"] for each in alertmanager.alerts()] == [{"alertname": "Posted", "name": "web"}]
    assert alertmanager.metric("alertmanager_alerts_received_total", status="firing") == 1.0


def test_an_alert_with_an_end_is_resolved(alertmanager: Alertmanager) -> None:
    alertmanager.post_alerts([alert("Ended", starts=time.time() - 2, ends=time.time() - 1)])

    assert "Ended" not in {each["labels"]["alertname"] for each in alertmanager.alerts()}


def test_a_wrong_alert_is_an_error_with_its_own_words(alertmanager: Alertmanager) -> None:
    with pytest.raises(LabError, match="refused /api/v2/alerts"):
        alertmanager.post_alerts([{"labels": {}}])


def test_a_wrong_configuration_is_refused_and_the_old_one_stays(alertmanager: Alertmanager) -> None:
    with pytest.raises(LabError, match="field wrong not found"):
        alertmanager.reload({**NOWHERE, "wrong": 1})
    alertmanager.reload(NOWHERE)


def test_it_comes_back_on_its_address(alertmanager: Alertmanager) -> None:
    alertmanager.kill()
    alertmanager.restart()

    assert alertmanager.metric("alertmanager_build_info") == 1.0


def test_two_make_a_cluster() -> None:
    with pair(NOWHERE) as (first, second):
        assert first.url != second.url
        assert [each.metric("alertmanager_cluster_members") for each in (first, second)] == [2.0, 2.0]


@pytest.mark.parametrize("line", LINES)
def test_amtool_judges_a_configuration(line: str, tmp_path: Path) -> None:
    (tmp_path / "good.yml").write_text("route: {receiver: a}\nreceivers: [{name: a}]\n")
    (tmp_path / "bad.yml").write_text("route: {receiver: b}\nreceivers: [{name: a}]\n")

    assert amtool("check-config", str(tmp_path / "good.yml"), line=line).returncode == 0
    assert amtool("check-config", str(tmp_path / "bad.yml"), line=line).returncode == 1


def test_an_unknown_line_is_refused() -> None:
    with pytest.raises(LabError, match=r"no Alertmanager line '9\.9'"):
        amtool("--version", line="9.9")
