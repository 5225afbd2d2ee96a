"""What a refusal of Marketing says: its own sentence points to `errors`, so these are told with it."""

import httpx
import pytest

from providers.mailchimp import calls


def test_a_refusal_tells_of_each_field() -> None:
    problem = {
        "title": "Invalid Resource",
        "detail": "For field-specific details, see the 'errors' array.",
        "errors": [{"field": "url", "message": "We could not connect to it, ann@example.com."}, "odd"],
    }
    wire = httpx.MockTransport(lambda _: httpx.Response(400, json=problem))
    with (
        httpx.Client(transport=wire, base_url="https://us1.api.mailchimp.com") as client,
        pytest.raises(calls.CallFailed, match=r"\(url: We could not connect to it") as raised,
    ):
        calls.call(client, "POST", "/lists/a1/webhooks", body={})
    assert "ann@example.com" not in str(raised.value)
