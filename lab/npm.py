"""Programs for Node.js that need one npm package, which is fetched once, into the lab's cache.

Node.js and npm are taken when they are there, otherwise the distribution's packages are installed.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path

from lab import packages
from lab.command import run

# Packages of a few hundred kilobytes, from a slow mirror.
_INSTALL_TIMEOUT_S = 120


def node() -> str:
    """Return the program that runs what ``installed`` returns, once that has been called."""
    return packages.which("node") or "node"


def installed(name: str, package: str, version: str, source: str) -> Path:
    """Return the file with a program, beside the package that it needs, made when it is not there.

    ``name`` is that of the program, ``source`` its text.
    """
    content = json.dumps({"private": True, "dependencies": {package: version}})
    # Of everything that is in it, so that what another checkout made is not taken for this.
    everything = f"{name}\0{content}\0{source}"
    fingerprint = hashlib.sha256(everything.encode()).hexdigest()[:8]
    target = packages.cache_folder() / f"{name}-{fingerprint}"
    program = target / f"{name}.js"
    packages.ensure_installed({"node": "nodejs", "npm": "npm"})
    if target.is_dir():
        return program
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".installing-") as temporary:
        folder = Path(temporary) / name
        folder.mkdir()
        (folder / "package.json").write_text(content, encoding="utf-8")
        (folder / program.name).write_text(source, encoding="utf-8")
        packages.progress(f"installing {package}")
        _install(folder)
        try:
            folder.rename(target)
        except OSError:
            # Somebody else installed the same at the same moment: one folder is as good as the other.
            if not target.is_dir():
                raise
    return program


def _install(folder: Path) -> None:
    command = [packages.which("npm") or "npm", "install", "--no-package-lock", "--no-audit", "--no-fund"]
    run(
        command,
        timeout=_INSTALL_TIMEOUT_S,
        remedy="check Node.js and the network",
        cwd=folder,
        environment={"NO_UPDATE_NOTIFIER": "1"},
    )
