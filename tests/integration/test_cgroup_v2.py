"""The exporter on a real host with cgroup v2: the tests in the folder v2, run in a guest of lab.uml."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from lab import lines, uml

pytestmark = pytest.mark.engine

CHECKS = Path(__file__).parent / "v2"
# Of each of the folder's files there has to be something, or nothing was tested.
FILES = {path.stem for path in CHECKS.glob("test_*.py")}


def test_the_exporter_on_a_real_host_with_cgroup_v2(tmp_path: Path, subtests: pytest.Subtests) -> None:
    lines.programs("28")  # the guest has no network to fetch them
    pytest_there = [sys.executable, "-m", "pytest", str(CHECKS), "-p", "no:cacheprovider"]
    done = uml.run([*pytest_there, f"--junitxml={uml.RESULTS}/junit.xml"], results=tmp_path)
    assert (tmp_path / "junit.xml").exists(), f"{done.stdout}\n{done.stderr}\n{done.console}"
    cases = list(ET.parse(tmp_path / "junit.xml").iter("testcase"))  # noqa: S314 - written by pytest
    for case in cases:
        with subtests.test(f"{case.get('name')}"):
            if problems := [
                each.text for kind in ("failure", "error", "skipped") for each in case.iter(kind)
            ]:
                pytest.fail("\n".join(map(str, problems)), pytrace=False)
    assert {str(case.get("classname")).rpartition(".")[2] for case in cases} == FILES
    assert done.status == 0, done.stdout
