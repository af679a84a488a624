from __future__ import annotations

from compose_agent.tracing import attributes, exporter, holding, spool
from compose_agent.tracing.registry import DROPPED, MEANINGS


def test_every_attribute_has_a_meaning() -> None:
    declared = {value for name, value in vars(attributes).items() if name.isupper()}
    assert declared == set(MEANINGS)


def test_every_reason_has_a_meaning() -> None:
    declared = {
        holding.FULL,
        holding.ROTATED,
        holding.DAMAGED,
        spool.UNWRITABLE,
        spool.TOO_LARGE,
        spool.INVALID,
    }
    assert declared | {exporter.REFUSED, exporter.REJECTED} == set(DROPPED)
