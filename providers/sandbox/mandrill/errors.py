"""Errors in Transactional's shape: `{"status": "error", "code", "name", "message"}`; who does not know the key gets one.

Names and statuses: facts/esp-contracts.md section 4.4. The API of old answered every error with 500, and an account may
meet that still; a knob of faults.py does it here.
"""

import secrets
from typing import Any, NoReturn

import orjson
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from providers.sandbox.faults import MANDRILL
from providers.sandbox.state import Running

PREFIX = MANDRILL
STATUSES = {
    "Invalid_Key": 401,
    "PaymentRequired": 402,
    "Unknown_Subaccount": 404,
    "Unknown_Template": 404,
    "Unknown_Message": 404,
    "Invalid_Reject": 404,
    "Invalid_Template": 422,
    "ValidationError": 422,
    "RequestLimitExceeded": 429,
    "GeneralError": 500,
}


class Failed(Exception):
    """A request that is answered with an error."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message


def body(name: str, message: str) -> dict[str, Any]:
    return {"status": "error", "code": -2 if name == "ValidationError" else -1, "name": name, "message": message}


def answer(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Failed)
    of_old = request.app.state.sandbox.dial.faults.errors_as_500
    return JSONResponse(body(error.name, error.message), status_code=500 if of_old else STATUSES[error.name])


def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    """Say which part of a request is wrong."""
    found = error.errors()[0]
    where = ".".join(str(part) for part in found["loc"][1:])
    return answer(request, Failed("ValidationError", f"Validation error: {where}: {found['msg']}"))


async def require_key(request: Request, sandbox: Running) -> None:
    """The key travels in the body."""
    try:
        asked = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        _fail("ValidationError", "You must specify a key value")
    key = asked.get("key") if isinstance(asked, dict) else None
    expected = sandbox.config.api_key.get_secret_value()
    if not isinstance(key, str) or not secrets.compare_digest(key.encode(), expected.encode()):
        _fail("Invalid_Key", "Invalid API key")


def _fail(name: str, message: str) -> NoReturn:
    raise Failed(name, message)
