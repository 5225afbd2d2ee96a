"""Requests, as they came over a real wire, against the API documents that vendors publish; the judge is openapi-core.

A vendor ignores a field that it does not know, and so do its documents: a name that is misspelt would pass. `judge`
therefore also refuses every field and parameter that the document does not name, but in objects that are the caller's own.
"""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
from openapi_core import OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse
from werkzeug.datastructures import MultiDict

from tests.providers import loopback

PAYLOADS = Path(__file__).parents[1] / "payloads"
_METHODS = frozenset({"get", "post", "put", "patch", "delete"})


class VendorApi:
    """One document. `server` is the host (and base path) that it names, in whose place the test's own server stood.

    `own` names the objects whose fields are ours to choose, such as metadata; `also` parameters and fields that this version
    of the document lacks.
    """

    def __init__(
        self, document: Path, server: str, *, own: frozenset[str] = frozenset(), also: frozenset[str] = frozenset()
    ) -> None:
        loaded = orjson.loads(document.read_bytes())
        for path in loaded["paths"].values():
            for method in _METHODS & set(path):
                for content in path[method].get("requestBody", {}).get("content", {}).values():
                    _close(content["schema"], own, also)
        self._api = OpenAPI.from_dict(loaded)
        self._server = server
        self._also = also

    def request(self, received: loopback.Received) -> MockRequest:
        """What came over the wire, with the document's server in place of loopback; nothing else is touched."""
        target, base = urlsplit(received.target), urlsplit(self._server)
        return MockRequest(
            f"{base.scheme}://{base.netloc}",
            received.method,
            base.path + target.path.removeprefix(base.path),
            args=MultiDict(parse_qsl(target.query, keep_blank_values=True)),
            headers=received.headers,
            data=received.body or None,
            content_type=received.headers.get("Content-Type", ""),
        )

    def judge(self, received: loopback.Received) -> None:
        """Raises openapi_core's OpenAPIError where the request is not as the vendor wrote."""
        request = self.request(received)
        self._api.validate_request(request)
        known = {*self._api.unmarshal_request(request).parameters.query, *self._also}
        if unknown := set(request.parameters.query) - known:
            raise OpenAPIError(f"the document knows no parameters {sorted(unknown)} of {received.target}")

    def judge_answer(self, received: loopback.Received, answer: loopback.Answer) -> None:
        """Raises OpenAPIError where an answer that a test gives is not one that the vendor documents."""
        said = MockResponse(
            answer.body, answer.status, content_type=answer.headers.get("Content-Type", "application/json")
        )
        self._api.validate_response(self.request(received), said)


def _close(schema: Any, own: frozenset[str], also: frozenset[str], name: str = "") -> None:
    if not isinstance(schema, dict):
        return
    if schema.get("properties") and name not in own:
        schema.setdefault("additionalProperties", False)
        schema["properties"] |= {field: {} for field in also - set(schema["properties"])}
    for field, inner in schema.get("properties", {}).items():
        _close(inner, own, also, field)
    _close(schema.get("items"), own, also, name)


def sendgrid_mail() -> VendorApi:
    """SendGrid v3: mail/send and the suppression lists, with what they answer."""
    own = frozenset({"headers", "substitutions", "custom_args", "dynamic_template_data"})
    path = PAYLOADS / "sendgrid" / "openapi.json"
    return VendorApi(path, "http://api.sendgrid.com/v3", own=own, also=frozenset({"limit", "offset"}))


def sendgrid() -> VendorApi:
    """SendGrid v3: everything else that we ask."""
    # Newer versions of the document have them for every suppression list; this one forgets them for bounces.
    paging = frozenset({"limit", "offset"})
    return VendorApi(PAYLOADS / "sendgrid" / "management.json", "https://api.sendgrid.com/v3", also=paging)


def postmark() -> VendorApi:
    """Postmark's sending; the document is older than two fields that the vendor's pages name."""
    newer = frozenset({"Metadata", "MessageStream"})
    return VendorApi(PAYLOADS / "postmark" / "server.json", "https://api.postmarkapp.com", also=newer)


def mailchimp_marketing() -> VendorApi:
    """Mailchimp Marketing 3.0. The document's server is named `server`, where a real one has its data centre."""
    return VendorApi(
        PAYLOADS / "mailchimp" / "marketing.json",
        "https://server.api.mailchimp.com/3.0",
        own=frozenset({"merge_fields", "interests", "sections"}),
    )


def mailchimp_transactional() -> VendorApi:
    """Mailchimp Transactional (once Mandrill) 1.0."""
    return VendorApi(
        PAYLOADS / "mailchimp" / "transactional.json",
        "https://mandrillapp.com/api/1.0",
        own=frozenset({"headers", "metadata", "values"}),
    )
