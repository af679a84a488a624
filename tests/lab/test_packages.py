from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
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


# Takes its time, as apt does, and fails like it when another one is at work.
APT = """\
#!/bin/sh
mkdir "$0.lock" || exit 100
echo "$*" >>"$0.log"
sleep 0.1
[ "$1" = update ] || { printf '#!/bin/sh\n' >"${0%/*}/wanted" && chmod +x "${0%/*}/wanted"; }
rmdir "$0.lock"
"""


def test_programs_that_many_miss_at_once_are_installed_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "apt-get").write_text(APT)
    (tmp_path / "apt-get").chmod(0o755)
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(packages, "SEARCH_PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(packages.ensure_installed, [{"wanted": "wanted-package"}] * 4))
    assert (tmp_path / "apt-get.log").read_text().splitlines() == [
        "update",
        "install -y --no-install-recommends wanted-package",
    ]


def test_who_is_not_root_is_told_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="wanted-package must be installed") as caught:
        packages.ensure_installed({"no-such-program": "wanted-package"})
    assert caught.value.remedy == "run: sudo apt-get install -y --no-install-recommends wanted-package"


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
