"""What a mail costs by SMTP: our mailer, Django's SMTP backend and smtplib, against one sink in one run.

`python -m benchmarks.smtp [--mails 2000] [--latency-ms 0]`. Each way writes the same mails: a subject and two parts
with three values of the recipient, a link to unsubscribe and a Message-ID of its own. Nothing is delivered.
"""

import argparse
import html
import smtplib
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import formatdate
from functools import partial

from rich.console import Console
from rich.table import Table

from benchmarks import sendgrid_payload, smtp_sink
from benchmarks.measure import Cost, measured
from domain import ports
from domain.ledger import OutcomeKind
from domain.templates import html_tag, plain_tag
from providers.smtp.config import SmtpConfig
from providers.smtp.mailer import open_mailer

BATCH = 100
OURS = "ours, one connection"
KEY = "a-key-of-this-benchmark-and-nothing-else"


def batches(mails: int) -> list[ports.Batch]:
    """As the ledger hands them over; the content is that of benchmarks/sendgrid_payload.py."""
    whole = sendgrid_payload.a_batch()
    found = []
    for first in range(0, mails, BATCH):
        places = [number % len(whole) for number in range(first, min(first + BATCH, mails))]
        found.append(
            replace(
                whole,
                attempt_id=str(uuid.uuid4()),
                lease_expires_at=datetime.now(UTC) + timedelta(hours=1),
                message_ids=[f"run1.{first + number}" for number in range(len(places))],
                addresses=[whole.addresses[place] for place in places],
                variables={name: [column[place] for place in places] for name, column in whole.variables.items()},
                unsubscribe_urls=[whole.unsubscribe_urls[place] for place in places],
            )
        )
    return found


def ours(port: int, some: Sequence[ports.Batch], *, connections: int = 1, pipelining: bool = True) -> int:
    """How many were taken."""
    config = SmtpConfig(
        host="127.0.0.1",
        port=port,
        security="none",
        return_mailbox="returns@bounce.shop.example.com",
        connections=connections,
        pipelining=pipelining,
        messages_per_connection=1_000_000,
    )
    with closing(open_mailer(config, link_key=KEY)) as mailer, ThreadPoolExecutor(connections) as pool:
        return sum(
            len(batch)
            for batch, outcome in zip(some, pool.map(mailer.send, some), strict=True)
            if outcome.kind is OutcomeKind.ACCEPTED and not outcome.exceptions
        )


def filled(batch: ports.Batch, number: int) -> tuple[str, str, str, dict[str, str]]:
    """Subject, text, HTML and headers of one mail, as whoever has no adapter writes them."""
    values = {name: column[number] for name, column in batch.variables.items()}
    values["unsubscribe_url"] = link = batch.unsubscribe_urls[number]
    subject, text, page = batch.content.subject, batch.content.text, batch.content.html
    for name, value in values.items():
        subject, text = subject.replace(plain_tag(name), value), text.replace(plain_tag(name), value)
        page = page.replace(html_tag(name), html.escape(value))
    headers = {
        "Date": formatdate(),
        "Message-ID": f"<{batch.message_ids[number]}.{batch.attempt_id}@shop.example.com>",
        "Reply-To": batch.sender.reply_to or "",
        "List-Unsubscribe": f"<{link}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "Feedback-ID": "run1:route-pool:marketing:sender",
    }
    return subject, text, page, headers


def messages(some: Sequence[ports.Batch]) -> Iterator[EmailMessage]:
    """Of the standard library, one a recipient."""
    for batch in some:
        for number, address in enumerate(batch.addresses):
            subject, text, page, headers = filled(batch, number)
            mail = EmailMessage()
            mail["From"], mail["To"], mail["Subject"] = f"The Shop <{batch.sender.email}>", address, subject
            for name, value in headers.items():
                mail[name] = value
            mail.set_content(text)
            mail.add_alternative(page, subtype="html")
            yield mail


def by_smtplib(port: int, some: Sequence[ports.Batch], *, reused: bool) -> int:
    """The two ways of the standard library: a connection for each mail, and one for all."""
    sent = 0
    if reused:
        with smtplib.SMTP("127.0.0.1", port) as connection:
            for mail in messages(some):
                connection.send_message(mail)
                sent += 1
        return sent
    for mail in messages(some):
        with smtplib.SMTP("127.0.0.1", port) as connection:
            connection.send_message(mail)
        sent += 1
    return sent


def by_django(port: int, some: Sequence[ports.Batch], *, reused: bool) -> int:
    """Its documented ways: `send()` of each, and `send_messages` of a list over one connection."""
    import django
    from django.conf import settings
    from django.core.mail import EmailMultiAlternatives
    from django.core.mail.backends.smtp import EmailBackend

    if not settings.configured:
        settings.configure(EMAIL_HOST="127.0.0.1", USE_TZ=True)
        django.setup()
    backend = partial(EmailBackend, host="127.0.0.1", port=port)

    def written(connection: EmailBackend) -> Iterator[EmailMultiAlternatives]:
        for batch in some:
            for number, address in enumerate(batch.addresses):
                subject, text, page, headers = filled(batch, number)
                sender = f"The Shop <{batch.sender.email}>"
                mail = EmailMultiAlternatives(subject, text, sender, [address], headers=headers, connection=connection)
                mail.attach_alternative(page, "text/html")
                yield mail

    connection = backend()
    return connection.send_messages(list(written(connection))) if reused else sum(m.send() for m in written(connection))


def ways(port: int, some: Sequence[ports.Batch]) -> dict[str, Callable[[], int]]:
    """What is held against each other."""
    return {
        OURS: lambda: ours(port, some),
        "ours, one connection, no pipelining": lambda: ours(port, some, pipelining=False),
        "ours, four connections": lambda: ours(port, some, connections=4),
        "Django, send_messages of a list": lambda: by_django(port, some, reused=True),
        "Django, send of each": lambda: by_django(port, some, reused=False),
        "smtplib, one connection": lambda: by_smtplib(port, some, reused=True),
        "smtplib, a connection a mail": lambda: by_smtplib(port, some, reused=False),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=2000)
    parser.add_argument("--latency-ms", type=float, default=0.0, help="of each answer of the relay")
    arguments = parser.parse_args()
    some = batches(arguments.mails)
    costs: dict[str, Cost] = {}
    with smtp_sink.running(arguments.latency_ms) as (port, sink):
        ours(port, some[:1])  # what is read and compiled once is nobody's cost
        for name, way in ways(port, some).items():
            cost, taken = measured(way)
            if taken != arguments.mails:
                raise RuntimeError(f"{name}: {taken} of {arguments.mails} were taken")
            costs[name] = cost.times(1000 / arguments.mails)
    title = f"{arguments.mails} mails to {sink}, {arguments.latency_ms:g} ms an answer"
    table = Table("way", "mails a second", "against ours", "CPU ms a mail", "against ours", title=title)
    base = costs[OURS]
    for name, cost in costs.items():
        rate, cpu = f"{1000 / cost.wall:,.0f}", f"{cost.cpu:.3f}"
        table.add_row(name, rate, f"{base.wall / cost.wall:.2f} x", cpu, f"{cost.cpu / base.cpu:.1f} x")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
