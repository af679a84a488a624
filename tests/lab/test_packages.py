from __future__ import annotations

from pathlib import Path

import pytest

from lab import LabError, packages

DEB822 = """\
# A comment of the image's maker
Types: deb
URIs: http://mirror.test/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://mirror.test/debian-security
Suites: bookworm-security
Components: main
"""


@pytest.mark.parametrize(
    ("own", "lines"),
    [
        (DEB822, ["URIs: http://mirror.test/debian", "Suites: forky", "Components: main"]),
        ("# main\n\n" + DEB822, ["URIs: http://mirror.test/debian", "Suites: forky"]),
        ("deb http://mirror.test/debian bookworm main", ["deb http://mirror.test/debian forky main"]),
        (
            "# deb cdrom:[x] y main\ndeb [signed-by=/k] http://mirror.test/debian bookworm main contrib\n",
            ["deb [signed-by=/k] http://mirror.test/debian forky main contrib"],
        ),
    ],
)
def test_another_suite_comes_from_the_mirror_of_the_own_one(own: str, lines: list[str]) -> None:
    foreign = packages.foreign_sources(own, "forky").splitlines()
    assert [line for line in lines if line not in foreign] == []
    assert not any("security" in line or "bookworm" in line for line in foreign)


def test_sources_without_a_mirror_are_refused() -> None:
    with pytest.raises(LabError, match="name no Debian mirror"):
        packages.foreign_sources("# nothing here\n", "forky")


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LAB_CACHE", str(tmp_path))
    assert packages.cache_folder() == tmp_path


def test_the_cache_is_in_the_checkout_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAB_CACHE", raising=False)
    assert packages.cache_folder() == Path(packages.__file__).parents[1] / ".cache" / "lab"


def test_programs_of_the_system_are_found_without_its_folders_in_the_path() -> None:
    assert packages.which("sh") is not None
    assert packages.which("no-such-program") is None


@pytest.mark.engine
def test_a_package_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LAB_CACHE", str(tmp_path))
    monkeypatch.setattr(packages, "DOWNLOAD_ATTEMPTS", 1)
    with pytest.raises(LabError, match="no-such-package"):
        packages.unpack(["no-such-package"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.engine
def test_an_unpacked_package_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LAB_CACHE", str(tmp_path))
    tree = packages.unpack(["busybox-static"])
    (tree / "seen").touch()
    assert (tree / "bin" / "busybox").is_file()
    assert (packages.unpack(["busybox-static"]) / "seen").exists()
    assert list(tmp_path.iterdir()) == [tree]
