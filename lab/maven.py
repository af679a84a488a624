"""Java programs: their jars, fetched by Maven into the lab's cache, and the command that starts them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from lab import packages
from lab.command import run

# Jars of 100 MB on a slow line.
_TIMEOUT_S = 900

_POM = """\
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>lab</groupId>
  <artifactId>{name}</artifactId>
  <version>1</version>
  <dependencies>{dependencies}</dependencies>
</project>
"""
_DEPENDENCY = """
    <dependency>
      <groupId>{}</groupId>
      <artifactId>{}</artifactId>
      <version>{}</version>
    </dependency>
  """


def jars(name: str, *artifacts: str) -> Path:
    """Return the folder with artifacts (``group:artifact:version``) and all that they need, fetched once.

    ``name`` names it in the cache, and tells the version.
    """
    # A machine's java may be one that compiles nothing, which a program in a single file wants.
    packages.ensure_installed({"javac": "openjdk-17-jdk-headless", "mvn": "maven"})
    target = packages.cache_folder() / name
    if not (target / "lib").is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        packages.progress(f"fetching {name}")
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetching-") as temporary:
            _fetch(Path(temporary) / name, artifacts, target)
    return target / "lib"


def java(heap: str, classes: Path, *, lasting: bool = False) -> list[str]:
    """Return the start of a command: a Java with a fixed heap (``512m``) and a folder of jars.

    One that is ``lasting`` has minutes of load to bear: it is slower at first, then several times as fast.
    """
    # The serial collector, and one compiler: it starts sooner, and leaves a core to the others.
    lean = ["-XX:+UseSerialGC", *([] if lasting else ["-XX:TieredStopAtLevel=1"])]
    return ["java", f"-Xms{heap}", f"-Xmx{heap}", *lean, "-cp", f"{classes}/*"]


def _fetch(work: Path, artifacts: Sequence[str], target: Path) -> None:
    work.mkdir()
    dependencies = "".join(_DEPENDENCY.format(*artifact.split(":")) for artifact in artifacts)
    pom = work / "pom.xml"
    pom.write_text(_POM.format(name=work.name, dependencies=dependencies), encoding="utf-8")
    command = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies"]
    run([*command, f"-DoutputDirectory={work}/lib"], timeout=_TIMEOUT_S, remedy="check Java and the network")
    try:
        work.rename(target)
    except OSError:
        # Somebody else fetched the same at the same moment.
        if not (target / "lib").is_dir():
            raise
