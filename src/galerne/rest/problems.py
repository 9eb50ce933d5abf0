"""Errors as RFC 9457 problem details: `type`, `title`, `status`, `detail`, plus our `code` and `hint`."""

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from starlette.exceptions import HTTPException

from galerne.rest.errors import BadRequest, GalerneError, Unavailable

MEDIA_TYPE = "application/problem+json"
_log = structlog.get_logger(__name__)


class Problem(BaseModel):
    """What an error looks like on the control plane."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str | None = None
    errors: list[dict[str, Any]] | None = None
    details: dict[str, Any] | None = None


def problem_response(error: GalerneError) -> JSONResponse:
    problem = Problem(
        type=f"urn:galerne:error:{error.code}",
        title=error.title,
        status=error.status,
        detail=error.message,
        code=error.code,
        hint=error.hint,
        details=error.details or None,
    )
    headers = {"retry-after": "1"} if error.status in {429, 503} else None
    return JSONResponse(
        problem.model_dump(exclude_none=True),
        status_code=error.status,
        media_type=MEDIA_TYPE,
        headers=headers,
    )


def install(app: FastAPI) -> None:
    """Render every error of the application as a problem."""
    app.add_exception_handler(GalerneError, _galerne)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    for unreachable in (OperationalError, InterfaceError, ConnectionError):
        app.add_exception_handler(unreachable, _database)
    app.add_exception_handler(DataError, _value)


async def _galerne(request: Request, error: Exception) -> JSONResponse:
    del request
    assert isinstance(error, GalerneError)
    return problem_response(error)


async def _validation(request: Request, error: Exception) -> JSONResponse:
    del request
    assert isinstance(error, RequestValidationError)
    errors = [
        {"at": ".".join(str(part) for part in item["loc"]), "message": item["msg"]}
        for item in error.errors()
    ]
    first = errors[0] if errors else {"at": "body", "message": "not valid"}
    problem = Problem(
        type="urn:galerne:error:invalid_request",
        title="Malformed request",
        status=422,
        detail=f"{first['at']}: {first['message']}",
        code="invalid_request",
        hint="see `errors` for each field and what was expected",
        errors=errors,
    )
    return JSONResponse(
        problem.model_dump(exclude_none=True), status_code=422, media_type=MEDIA_TYPE
    )


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = {404: "no_such_route", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    problem = Problem(
        type=f"urn:galerne:error:{code}",
        title=str(error.detail),
        status=error.status_code,
        detail=f"{request.method} {request.url.path}: {error.detail}",
        code=code,
    )
    return JSONResponse(
        problem.model_dump(exclude_none=True),
        status_code=error.status_code,
        media_type=MEDIA_TYPE,
        headers=error.headers,
    )


async def _database(request: Request, error: Exception) -> JSONResponse:
    _log.error("database_unavailable", path=request.url.path, error=str(error))
    return problem_response(
        Unavailable(
            "the database did not answer in time",
            code="database_unavailable",
            hint="nothing was changed; send the same request again",
        )
    )


async def _value(request: Request, error: Exception) -> JSONResponse:
    """Answer for a value that the database cannot hold, as text with a zero byte on PostgreSQL."""
    del request, error
    return problem_response(
        BadRequest(
            "a value in the request cannot be stored or compared",
            code="value_invalid",
            hint="look for control characters, such as a zero byte, and for numbers out of range",
        )
    )
