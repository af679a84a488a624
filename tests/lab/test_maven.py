from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from lab import LabError, maven, packages

# Takes -DoutputDirectory=FOLDER as its last argument, and logs where its pom was.
MVN = """\
#!/bin/sh
echo "$*" >>"$0.log"
for last; do :; done
mkdir "${last#*=}" && touch "${last#*=}/a.jar"
"""
BROKEN = "#!/bin/sh\necho '[ERROR] no such artifact'; exit 1\n"


@pytest.fixture(autouse=True, name="mvn")
def fake_maven(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name, script in (("mvn", MVN), ("javac", "")):
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(packages, "SEARCH_PATH", str(tmp_path))
    return tmp_path / "mvn"


def test_the_pom_has_every_artifact(tmp_path: Path) -> None:
    folder = maven.jars("some-1", "org.one:first:1.0", "org.two:second_2.13:2")
    assert [path.name for path in folder.iterdir()] == ["a.jar"]
    pom = ET.parse(tmp_path / "cache" / "some-1" / "pom.xml")  # noqa: S314 - our own
    assert [[part.text for part in each] for each in pom.iter("dependency")] == [
        ["org.one", "first", "1.0"],
        ["org.two", "second_2.13", "2"],
    ]


def test_jars_are_fetched_once(mvn: Path) -> None:
    assert maven.jars("some-1", "o:a:1") == maven.jars("some-1", "o:a:1")
    assert len(Path(f"{mvn}.log").read_text().splitlines()) == 1


def test_nothing_is_left_of_what_could_not_be_fetched(mvn: Path, tmp_path: Path) -> None:
    mvn.write_text(BROKEN)
    with pytest.raises(LabError, match="no such artifact"):
        maven.jars("some-1", "o:a:1")
    assert list((tmp_path / "cache").iterdir()) == []
