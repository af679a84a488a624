from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import soak.campaign
from soak.__main__ import main
from soak.campaign import Outcome, Plan, Run, perform
from soak.picture import differences, expected, shown


class Odd:
    """A campaign that does not like odd seeds."""

    name = "odd"
    help = "none"

    def __init__(self) -> None:
        self.seeds: list[int] = []

    @contextmanager
    def open(self, engine: str) -> Iterator[Run]:
        def run(seed: int) -> Outcome:
            self.seeds.append(seed)
            if seed == 8:
                raise OSError("no more of this")
            return Outcome({"steps": 2}, ("it is odd",) if seed % 2 else ())

        yield run


@pytest.fixture(autouse=True, name="folder")
def results_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(soak.campaign, "RESULTS", tmp_path)
    return tmp_path


def plan(runs: int, seed: int = 5, minutes: float = 1) -> Plan:
    return Plan("fake", runs, seed, minutes)


def test_each_run_has_its_seed_and_each_violation_the_seed_that_shows_it(folder: Path) -> None:
    said: list[str] = []
    perform(Odd(), plan(4), say=said.append)
    written = json.loads((folder / "odd-fake-5.json").read_text())
    assert written["counts"] == {"steps": 6}
    assert written["violations"] == [
        {"seed": 5, "what": "it is odd"},
        {"seed": 7, "what": "it is odd"},
        {"seed": 8, "what": "the run broke: OSError no more of this"},
    ]
    assert (written["done"], written["plan"]["runs"], len(written["load"])) == (4, 4, 3)
    assert len(said) == 4


def test_a_campaign_goes_on_where_it_ended() -> None:
    campaign = Odd()
    perform(campaign, plan(2))
    result = perform(campaign, plan(5), resume=True)
    assert campaign.seeds == [5, 6, 7, 8, 9]
    assert (result.done, result.counts["steps"], len(result.violations)) == (5, 8, 4)


def test_without_resume_it_begins_anew_and_a_replay_spoils_nothing() -> None:
    campaign = Odd()
    perform(campaign, plan(2))
    perform(campaign, plan(1, seed=6))
    assert perform(campaign, plan(2)).done == 2
    assert campaign.seeds == [5, 6, 6, 5, 6]


def test_time_ends_a_campaign() -> None:
    assert perform(Odd(), plan(5, minutes=0)).done == 0


def test_campaigns_are_listed_and_an_unknown_one_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert "inventory" in capsys.readouterr().out
    assert main(["nonesuch"]) == 2


INSPECTED = {
    "Name": "/web",
    "RestartCount": 2,
    "State": {"Status": "exited", "ExitCode": 3, "FinishedAt": "2026-01-02T03:04:05Z"},
    "HostConfig": {"Memory": 1024, "NanoCpus": 0, "CpuQuota": 50_000, "CpuPeriod": 0},
}
EXPOSITION = """\
docker_up 1
docker_container_state{{name="web",id="abc",state="exited"}} 1
docker_container_state{{name="web",id="abc",state="running"}} 0
docker_container_health{{name="web",id="abc",status="none"}} 1
docker_container_exit_code{{name="web",id="abc"}} {code}
docker_container_restarts_total{{name="web",id="abc"}} 2
docker_container_memory_limit_bytes{{name="web",id="abc"}} 1024
docker_container_cpu_limit_cores{{name="web",id="abc"}} 0.5
"""


@pytest.mark.parametrize(("code", "found"), [(3, []), (4, ["web abc: exit code is 3, shown as 4"])])
def test_what_differs_between_engine_and_exporter_is_told(code: int, found: list[str]) -> None:
    picture, up = shown(EXPOSITION.format(code=code))
    assert up == 1
    assert list(differences({"abc": expected(INSPECTED)}, picture)) == found


def test_a_container_that_only_one_of_them_has_is_told() -> None:
    facts = expected(INSPECTED)
    assert len(list(differences({"abc": facts}, {}))) == len(list(differences({}, {"abc": facts}))) == 1
