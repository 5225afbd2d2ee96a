"""Loaded by the fuzzer: each request that is right so far gets an Idempotency-Key of its own, or all but one would be 409."""

import re
import uuid

import schemathesis


@schemathesis.hook
def before_call(_context, case, _kwargs) -> None:
    key = case.headers.get("Idempotency-Key") if case.headers else None
    if isinstance(key, str) and re.fullmatch("[!-~]{1,255}", key):
        case.headers["Idempotency-Key"] = uuid.uuid4().hex
