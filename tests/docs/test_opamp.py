"""docs/opamp.md names tests: each of them has to be there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "fleet"
TEXT = (ROOT / "docs" / "opamp.md").read_text()
_NAMED = re.compile(r"`([\w./]+\.py)::(test_\w+)`")
_ROW = re.compile(r"^\| (?:S|A|S, A) \|(.*)\|(.*)\|$", re.MULTILINE)


@cache
def named_in(path: Path) -> frozenset[str]:
    """Return the names of the tests in a file."""
    tree = ast.parse(path.read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize(("file", "name"), sorted(set(_NAMED.findall(TEXT))))
def test_a_test_that_is_named_is_there(file: str, name: str) -> None:
    assert name in named_in(FOLDER / file)


def test_every_row_has_a_test_or_a_reason() -> None:
    rows = _ROW.findall(TEXT)
    assert len(rows) > 50
    for statement, held_by in rows:
        assert statement.strip().endswith("."), statement
        assert _NAMED.search(held_by) or held_by.strip().endswith("."), statement
