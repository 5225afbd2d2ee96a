"""Fetch returned mail: every two minutes, bounces and complaints from the mailbox that they go to."""

from prefect import flow

from tasks import returns


@flow(name="fetch-returned-mail")
def fetch_returned_mail() -> dict[str, int]:
    """Keep the mails; `process-delivery-events` reads them within a minute. Fails as an alarm."""
    return returns.fetch()
