"""What a PromQL expression names, and which labels its result has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import promql_parser
from promql_parser import (
    AggModifierType,
    AggregateExpr,
    BinaryExpr,
    Call,
    LabelModifierType,
    MatchOp,
    MatrixSelector,
    VectorMatchCardinality,
    VectorSelector,
)

Expr = Any
# What Prometheus puts on every series.
TARGET = frozenset({"job", "instance"})
# Grafana puts these in before it asks; within texts nothing needs to be put in for a parser.
INTERVALS = {"$__rate_interval": "5m", "$__interval": "1m", "$__range": "1h"}
_SETS = {"and", "or", "unless"}
# The function of a series that is taken as it is because it has just begun.
BORN = "born"
_CHOOSING = {"topk", "bottomk"}


@dataclass(frozen=True, slots=True)
class Use:
    """A series that is asked for: its metric, the labels it is chosen by, and the function around it."""

    metric: str
    matched: Mapping[str, str]
    function: str = ""


def parse(text: str) -> Expr:
    """Return the syntax tree; ValueError with what is wrong."""
    for word, value in INTERVALS.items():
        text = text.replace(word, value)
    return promql_parser.parse(text)


def uses(expr: Expr, function: str = "") -> Iterator[Use]:
    """Yield every series that an expression asks for."""
    if isinstance(expr, VectorSelector):
        matched = {each.name: each.value for each in expr.matchers.matchers}
        names = [expr.name] if expr.name else matched.pop("__name__").split("|")
        yield from (Use(name, matched, function) for name in names)
    elif isinstance(expr, MatrixSelector):
        yield from uses(expr.vector_selector, function)
    elif isinstance(expr, Call):
        for argument in expr.args:
            yield from uses(argument, expr.func.name)
    elif isinstance(expr, BinaryExpr):
        function = BORN if _is_birth(expr) else ""
        yield from uses(expr.lhs, function)
        yield from uses(expr.rhs, function)
    elif hasattr(expr, "expr"):
        yield from uses(expr.expr)


def _is_birth(expr: BinaryExpr) -> bool:
    """Tell whether it is a counter that was not there some time ago, so that all it counts is new."""
    now, before = expr.lhs, expr.rhs
    if not isinstance(now, VectorSelector) or not isinstance(before, VectorSelector):
        return False
    return str(expr.op) == "unless" and now.name == before.name and bool(before.offset)


def labels_of(expr: Expr, known: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Return the labels that series of the result may have.

    AssertionError when something is grouped or matched by a label that is not there.
    """
    if isinstance(expr, VectorSelector):
        return _selected(expr, known)
    if isinstance(expr, MatrixSelector):
        return _selected(expr.vector_selector, known)
    if isinstance(expr, AggregateExpr):
        return _aggregated(expr, labels_of(expr.expr, known))
    if isinstance(expr, Call):
        return _called(expr, known)
    if isinstance(expr, BinaryExpr):
        return _joined(expr, labels_of(expr.lhs, known), labels_of(expr.rhs, known))
    return labels_of(expr.expr, known) if hasattr(expr, "expr") else frozenset()


def _selected(selector: VectorSelector, known: Mapping[str, frozenset[str]]) -> frozenset[str]:
    labels: frozenset[str] = frozenset()
    for use in uses(selector):
        assert use.metric in known, f"there is no metric {use.metric}"
        own = known[use.metric] | TARGET
        assert use.matched.keys() <= own, f"{use.metric} has no label {set(use.matched) - own}"
        labels |= own
    return labels


def _aggregated(expr: AggregateExpr, inner: frozenset[str]) -> frozenset[str]:
    if str(expr.op) in _CHOOSING:
        return inner
    if expr.modifier is None:
        return frozenset()
    named = frozenset(expr.modifier.labels)
    assert named <= inner, f"grouped by {set(named - inner)}, which is not there: {expr}"
    return named if expr.modifier.type == AggModifierType.By else inner - named


def _called(expr: Call, known: Mapping[str, frozenset[str]]) -> frozenset[str]:
    arguments = [labels_of(each, known) for each in expr.args]
    labels = frozenset[str]().union(*arguments)
    if expr.func.name == "histogram_quantile":
        assert "le" in labels, f"the buckets of a quantile are summed up: {expr}"
        return labels - {"le"}
    if expr.func.name == "label_replace":
        return labels | {expr.args[1].val}
    return labels


def _joined(expr: BinaryExpr, left: frozenset[str], right: frozenset[str]) -> frozenset[str]:
    matching = expr.modifier.matching if expr.modifier else None
    if matching:
        missing = frozenset(matching.labels) - (left | right)
        assert not missing, f"matched by {set(missing)}, which is not there: {expr}"
    if str(expr.op) == "or":
        return left | right
    if str(expr.op) in _SETS or not right:
        return left
    if not left:
        return right
    if matching is None:
        return left | right
    if expr.modifier and expr.modifier.card == VectorMatchCardinality.ManyToOne:
        return left | frozenset(expr.modifier.group_labels or ())
    named = frozenset(matching.labels)
    return named if matching.type == LabelModifierType.Include else left - named


__all__ = ["BORN", "INTERVALS", "TARGET", "Expr", "MatchOp", "Use", "labels_of", "parse", "uses"]
