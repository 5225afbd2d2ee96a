"""The relay's port, and the way by which reports go back."""

import asyncio
import smtplib
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import httpx
from fastapi.concurrency import run_in_threadpool

from providers.sandbox.config import SandboxConfig
from providers.sandbox.faults import Dial
from providers.sandbox.poster import Outlet
from providers.sandbox.relay import mail, reports
from providers.sandbox.relay.session import Session
from providers.sandbox.store import Store

_SECONDS = 10.0
_LONGEST_LINE = 2**20  # of a mail's text; RFC 5321 allows 1000 characters, which is the sender's to keep


async def listen(
    config: SandboxConfig, *, store: Store, dial: Dial, wake: Callable[[], None]
) -> asyncio.AbstractServer | None:
    """Take mail from now on; None where no port is configured. Raises OSError where it cannot be had."""
    if config.smtp_port is None:
        return None

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Session(reader, writer, config=config, store=store, dial=dial, wake=wake).run()

    return await asyncio.start_server(serve, config.host, config.smtp_port, limit=_LONGEST_LINE)


def outlet(config: SandboxConfig) -> Outlet:
    """Where reports go: a server that takes our returned mail."""

    async def deliver(_client: httpx.AsyncClient, rows: Sequence[sqlite3.Row], _now: float) -> bool:
        return await run_in_threadpool(_delivered, config, [found for row in rows if (found := reports.of(dict(row)))])

    return Outlet(mail.VENDOR, deliver if config.smtp_returns_port is not None else None)


def _delivered(config: SandboxConfig, found: Sequence[reports.Report]) -> bool:
    if not found:
        return True
    try:
        with smtplib.SMTP(config.smtp_returns_host, config.smtp_returns_port or 0, timeout=_SECONDS) as server:
            for report in found:
                _hand_over(server, report)
    except (OSError, smtplib.SMTPException):
        return False
    return True


def _hand_over(server: Any, report: reports.Report) -> None:
    try:
        server.sendmail(report.sender, [report.recipient], report.content)
    except smtplib.SMTPRecipientsRefused as refused:
        # A server that will never take it is told once; one that is busy keeps the rest waiting as well.
        if any(code < 500 for code, _ in refused.recipients.values()):  # noqa: PLR2004 - 4yz: come again
            raise
