"""Programs from Debian and Ubuntu packages, unpacked without being installed.

Traps this module knows about:

- A fresh container image has empty apt lists, and old lists name versions that the mirror has
  dropped.  Both show as a failed download, so every further attempt uses fresh lists in a folder
  of its own, which also works without root.
- ``apt-get download`` as root warns that it runs "unsandboxed" (user ``_apt`` cannot write to the
  temporary folder); that is harmless.
- apt refuses to work twice at the same time, and tests in several processes find the same programs
  missing: installing waits for its turn.
- Packages of a newer suite may need a newer libc: Debian forky's docker.io and containerd run on
  bookworm, its runc and tini do not.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab import LabError
from lab.command import run

# Mirrors answer 5xx now and then; three attempts, the later ones with fresh lists, outlast that.
DOWNLOAD_ATTEMPTS = 3
RETRY_PAUSE_S = 2.0
# Lists of a whole suite (16 MB) on a slow line; a hanging mirror must not hang the tests for ever.
APT_TIMEOUT_S = 600

# A user's PATH may lack the folders where dockerd, iptables and ip live.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])

_CHECKOUT = Path(__file__).resolve().parent.parent


def cache_folder() -> Path:
    """Return the folder of unpacked packages: LAB_CACHE, or the checkout's ``.cache/lab``."""
    return Path(os.environ.get("LAB_CACHE") or _CHECKOUT / ".cache" / "lab")


def which(program: str) -> str | None:
    """Return the path of an installed program, searching the system folders also for plain users."""
    return shutil.which(program, path=SEARCH_PATH)


def unpack(names: Sequence[str], suite: str | None = None) -> Path:
    """Unpack packages, without their dependencies, into one tree and return its root.

    ``suite`` is a Debian suite (``forky``); None means the machine's own sources.  The tree is kept
    in the cache until someone deletes it.  Raises LabError when the packages cannot be had.
    """
    own = _own_suite()
    target = cache_folder() / f"{suite or own}-{names[0]}-{_fingerprint(names)}"
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        progress(f"unpacking {', '.join(names)} of {suite or own}")
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".unpacking-") as temporary:
            _unpack_into(Path(temporary), target, names, None if suite == own else suite)
    return target


def ensure_installed(programs: Mapping[str, str]) -> None:
    """Install the packages of those programs that are missing: ``{"ip": "iproute2"}``.

    Raises LabError with the command to type when that needs root, or when apt fails.
    """
    missing = _missing(programs)
    if not missing:
        return
    if os.geteuid() != 0:
        remedy = f"run: sudo {' '.join(_install(missing))}"
        raise LabError(f"{', '.join(missing)} must be installed", remedy=remedy)
    with _installing():
        # Who waited for a turn may find them installed.
        missing = _missing(programs)
        if missing:
            progress(f"installing {', '.join(missing)}")
            _run(["apt-get", "update"])
            _run(_install(missing))


def progress(step: str) -> None:
    """Print one line about a long step to standard error."""
    print(f"{step} ...", file=sys.stderr, flush=True)


def foreign_sources(own: str, suite: str) -> str:
    """Return apt sources for ``suite`` from the same mirror as ``own``, in the same format.

    ``own`` is the text of a deb822 file (its first stanza is used) or of a one-line sources.list
    (its first ``deb`` line is used).
    """
    for stanza in re.split(r"\n\s*\n", own):
        changed, suites = re.subn(r"^Suites:.*", f"Suites: {suite}", stanza, flags=re.MULTILINE)
        if suites:
            return changed.strip() + "\n"
    line = re.search(r"^(deb\s+(?:\[[^]]*\]\s+)?\S+)\s+\S+\s+(.*)$", own, re.MULTILINE)
    if line is None:
        raise LabError("the machine's apt sources name no Debian mirror", remedy="add one")
    return f"{line[1]} {suite} {line[2]}\n"


def _missing(programs: Mapping[str, str]) -> list[str]:
    return sorted({package for program, package in programs.items() if which(program) is None})


def _install(names: Sequence[str]) -> list[str]:
    return ["apt-get", "install", "-y", "--no-install-recommends", *names]


@contextmanager
def _installing() -> Iterator[None]:
    """Hold the lock of everybody who installs for this cache."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / "installing.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _unpack_into(work: Path, target: Path, names: Sequence[str], suite: str | None) -> None:
    tree = work / "tree"
    tree.mkdir(mode=0o755)
    for package in _download(work, names, suite):
        _run(["dpkg", "-x", str(package), str(tree)])
    try:
        tree.rename(target)
    except OSError:
        # Somebody else unpacked the same at the same moment: one tree is as good as the other.
        if not target.is_dir():
            raise


def _download(work: Path, names: Sequence[str], suite: str | None) -> list[Path]:
    for attempt in range(1, DOWNLOAD_ATTEMPTS + 1):
        try:
            options = [] if suite is None and attempt == 1 else _private_lists(work, suite)
            _run(["apt-get", *options, "download", *names], cwd=work)
        except LabError:
            if attempt == DOWNLOAD_ATTEMPTS:
                raise
            time.sleep(RETRY_PAUSE_S)
        else:
            break
    return sorted(work.glob("*.deb"))


def _private_lists(work: Path, suite: str | None) -> list[str]:
    """Fetch lists into ``work`` and return the apt options that use them; the machine's stay as they are."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    options = [f"-oDir::State::Lists={work}/lists", f"-oDir::Cache={work}/cache"]
    if suite is not None:
        (work / "parts").mkdir(exist_ok=True)
        own, extension = _own_sources()
        (work / "parts" / f"{suite}.{extension}").write_text(foreign_sources(own, suite), encoding="utf-8")
        options += ["-oDir::Etc::SourceList=/dev/null", f"-oDir::Etc::SourceParts={work}/parts"]
    _run(["apt-get", *options, "update"])
    return options


def _own_sources() -> tuple[str, str]:
    for path in (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list")):
        if path.is_file():
            return path.read_text(encoding="utf-8"), path.suffix.removeprefix(".")
    raise LabError(
        "this machine has no Debian apt sources", remedy="use Debian, or install the programs yourself"
    )


def _own_suite() -> str:
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "own")


def _fingerprint(names: Sequence[str]) -> str:
    return hashlib.sha256(" ".join(names).encode()).hexdigest()[:8]


def _run(command: list[str], *, cwd: Path | None = None) -> None:
    run(
        command,
        timeout=APT_TIMEOUT_S,
        remedy="use Debian or Ubuntu",
        cwd=cwd,
        environment={"DEBIAN_FRONTEND": "noninteractive"},
    )
