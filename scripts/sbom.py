"""Print a software bill of materials of this Python's environment: CycloneDX 1.6 as JSON.

The Dockerfile runs it with the Python of the image. Every distribution is a component with version, licence
and package URL; what each one needs stands under ``dependencies``.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from typing import Any

SUBJECT = "compose-agent"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def main() -> None:
    """Write the document to the standard output."""
    json.dump(document(distributions()), sys.stdout, indent=1)
    sys.stdout.write("\n")


def document(found: Iterable[Distribution]) -> dict[str, Any]:
    """Return the bill of these distributions, the program itself as its subject."""
    known = {_normal(each.name): each for each in sorted(found, key=lambda each: each.name.lower())}
    components = {name: _component(each) for name, each in known.items()}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": components[SUBJECT] | {"type": "application"}},
        "components": [component for name, component in components.items() if name != SUBJECT],
        "dependencies": [
            {"ref": components[name]["bom-ref"], "dependsOn": sorted(_needs(each, components))}
            for name, each in known.items()
        ],
    }


def _component(distribution: Distribution) -> dict[str, Any]:
    name = _normal(distribution.name)
    purl = f"pkg:pypi/{name}@{distribution.version}"
    component = {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": distribution.version,
        "purl": purl,
    }
    if licence := _licence(distribution):
        component["licenses"] = [licence]
    return component


def _licence(distribution: Distribution) -> dict[str, Any] | None:
    """Return the licence as an SPDX expression, or else in the package's own words."""
    metadata = distribution.metadata
    if expression := metadata.get("License-Expression"):
        return {"expression": expression}
    classifiers = [value for value in metadata.get_all("Classifier", []) if value.startswith("License ::")]
    words = [value.rpartition(" :: ")[2] for value in classifiers] or [metadata.get("License") or ""]
    name = words[0].strip().partition("\n")[0]
    return {"license": {"name": name}} if name else None


def _needs(distribution: Distribution, known: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Yield the references of what is needed and there; the rest is for other platforms or extras."""
    for requirement in distribution.requires or []:
        if (match := _NAME.match(requirement)) and (name := _normal(match[0])) in known:
            yield known[name]["bom-ref"]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main()
