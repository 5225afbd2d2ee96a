"""Errors in Mailchimp's shape, `application/problem+json`; and too many requests at once, which get none."""

from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

_TYPE = "https://mailchimp.com/developer/marketing/docs/errors/"
TITLES = {400: "Bad Request", 401: "API Key Invalid", 404: "Resource Not Found", 405: "Method Not Allowed"}


class Problem(Exception):
    """A request that is answered with an error. `errors`: what is wrong with which field."""

    def __init__(
        self, status: int, detail: str, *, title: str = "", errors: list[dict[str, str]] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.title = title or TITLES.get(status, "Error")
        self.errors = errors


class TooMany(Exception):
    """More than ten requests at once. Mailchimp answers 429, or 403, and says nothing."""


def missing() -> Problem:
    return Problem(404, "The requested resource could not be found.")


def invalid(field: str, message: str) -> Problem:
    return Problem(
        400,
        "The resource submitted could not be validated. For field-specific details, see the 'errors' array.",
        title="Invalid Resource",
        errors=[{"field": field, "message": message}],
    )


def answer(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    body: dict[str, Any] = {"type": _TYPE, "title": error.title, "status": error.status, "detail": error.detail}
    if error.errors is not None:
        body["errors"] = error.errors
    return JSONResponse(
        {**body, "instance": "sandbox"}, status_code=error.status, media_type="application/problem+json"
    )


def too_many(request: Request, _error: Exception) -> Response:
    return Response(status_code=403 if request.method == "GET" else 429)


def of_validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return answer(request, invalid(".".join(str(part) for part in first["loc"][1:]), first["msg"]))


def of_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return answer(request, Problem(error.status_code, str(error.detail)))
