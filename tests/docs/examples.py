"""The fenced examples of a page of the documentation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples(page: str, language: str) -> list[str]:
    """Return what stands in the page's fences of one language, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [body for tag, body in _FENCE.findall(text) if tag == language]


def yaml_examples(page: str, *keys: str) -> list[str]:
    """Return the YAML examples whose top-level keys are among ``keys``."""
    return [text for text in examples(page, "yaml") if set(parsed(text)) <= set(keys)]


def parsed(text: str) -> dict[str, Any]:
    """Return a YAML mapping."""
    value = yaml.safe_load(text)
    assert isinstance(value, dict)
    return value
