"""The API's own description (OpenAPI): what the framework writes, plus what only we know.

Errors in their media type, the key that a call needs and the scope that the key must hold, and the header by
which a POST may be sent again. Clients and the reference are generated from it.
"""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from galerne.rest.idempotency import KEY_PATTERN
from galerne.rest.problems import MEDIA_TYPE, Problem
from galerne.rest.route import AuthenticatedRoute, TransactionalRoute

KEY = "apiKey"
SECURITY_SCHEMES = {
    KEY: {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key. The scope that a call needs stands beside it.",
    }
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Send the same POST again under the same key: it answers the same and does nothing.",
    "schema": {"type": "string", "pattern": KEY_PATTERN},
}
# Written for each route by the framework, in the wrong media type; `_complete` moves it.
ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Problem, "description": "Refused: see `code` and `hint`."},
    "5XX": {"model": Problem, "description": "Our fault, or try again: see `code` and `hint`."},
}


class DescribedApp(FastAPI):
    """An application that describes itself in full."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = super().openapi()
            operations = {
                operation["operationId"]: operation
                for path in document["paths"].values()
                for operation in path.values()
            }
            for route in _described(self):
                _complete(operations[route.name], route)
            document["components"]["securitySchemes"] = SECURITY_SCHEMES
        assert self.openapi_schema is not None
        return self.openapi_schema


def required_scopes(dependant: Dependant) -> set[str]:
    """Return the scopes that a route's dependencies ask for, at any depth."""
    found = {getattr(dependant.call, "required_scope", None)} - {None}
    for each in dependant.dependencies:
        found |= required_scopes(each)
    return {str(scope) for scope in found}


def _described(app: FastAPI) -> Iterator[APIRoute]:
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute) and route.include_in_schema:
            yield route


def _complete(operation: dict[str, Any], route: APIRoute) -> None:
    for status in ERRORS:
        response = operation["responses"][str(status)]
        response["content"] = {MEDIA_TYPE: response["content"]["application/json"]}
    needs_key = isinstance(route, AuthenticatedRoute | TransactionalRoute)
    operation["security"] = [{KEY: sorted(required_scopes(route.dependant))}] if needs_key else []
    if isinstance(route, TransactionalRoute) and route.methods == {"POST"}:
        operation.setdefault("parameters", []).append(IDEMPOTENCY_KEY)
