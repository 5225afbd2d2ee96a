"""The vendor's own SDK as a witness: what it builds and sends for the same mail is what we build and send."""

from typing import Any

import orjson
import sendgrid
from sendgrid.helpers import mail

from domain import ports
from providers.sendgrid import payload
from providers.sendgrid.config import SendGridConfig
from tests.providers import loopback
from tests.providers.contract import a_batch


def by_helpers(batch: ports.Batch) -> dict[str, Any]:
    """The same request out of the SDK's helper objects."""
    message = mail.Mail(
        from_email=mail.From(batch.sender.email, batch.sender.name),
        subject=mail.Subject(batch.content.subject),
        plain_text_content=mail.PlainTextContent(batch.content.text),
        html_content=mail.HtmlContent(batch.content.html),
    )
    message.reply_to = mail.ReplyTo(batch.sender.reply_to)
    message.category = mail.Category(batch.campaign)
    tracking = mail.TrackingSettings()
    tracking.click_tracking = mail.ClickTracking(enable=True, enable_text=False)
    tracking.open_tracking = mail.OpenTracking(enable=True)
    tracking.subscription_tracking = mail.SubscriptionTracking(enable=False)
    message.tracking_settings = tracking
    for number, person in enumerate(orjson.loads(payload.build(batch, SendGridConfig()))["personalizations"]):
        personalization = mail.Personalization()
        personalization.add_to(mail.To(batch.addresses[number]))
        for key, value in person["custom_args"].items():
            personalization.add_custom_arg(mail.CustomArg(key, value))
        for key, value in person["headers"].items():
            personalization.add_header(mail.Header(key, value))
        for key, value in person["substitutions"].items():
            personalization.add_substitution(mail.Substitution(key, value))
        message.add_personalization(personalization)
    body: dict[str, Any] = message.get()
    body["personalizations"].reverse()  # the SDK inserts each at the beginning
    return body


def test_the_helper_objects_say_the_same():
    batch = a_batch(3, variables={"first_name": ["Zoë", "李", "O'Brien & Co"]})
    assert by_helpers(batch) == orjson.loads(payload.build(batch, SendGridConfig()))


def test_the_sdk_sends_our_body_to_the_same_place():
    body = orjson.loads(payload.build(a_batch(2), SendGridConfig()))
    with loopback.answering(lambda _: loopback.Answer(202)) as server:
        client = sendgrid.SendGridAPIClient("SG.key", host=server.url)
        client.client.timeout = loopback.PATIENCE
        assert client.send(body).status_code == 202
    (received,) = server.requests
    assert (received.method, received.target) == ("POST", "/v3/mail/send")
    assert received.headers["Content-Type"] == "application/json"
    assert received.headers["Authorization"] == "Bearer SG.key"
    assert orjson.loads(received.body) == body
