"""Alertmanager's matchers (alertmanager/pkg/labels/matcher.go): ``=``, ``!=``, ``=~``, ``!~``, anchored."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label; a label that is not there counts as empty."""

    label: str
    operator: str
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether it holds for these labels."""
        found = labels.get(self.label, "")
        if self.operator in {"=", "!="}:
            return (found == self.value) is (self.operator == "=")
        return bool(re.fullmatch(self.value, found)) is (self.operator == "=~")
