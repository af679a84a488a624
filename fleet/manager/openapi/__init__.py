"""The API as one table of operations: routes, rights and the OpenAPI document follow from it."""

from fleet.manager.openapi.operation import ApiPart, Operation, Parameter, Problem
from fleet.manager.openapi.table import Table

__all__ = ["ApiPart", "Operation", "Parameter", "Problem", "Table"]
