"""Any SMTP relay as a Mailer: each message a transaction of its own, over connections that are kept.

It never tries a message again; the ledger owns attempts. A batch ends within half of its lease: what was not begun by
a quarter of it is not sent.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from domain import ports
from domain.ledger import Outcome
from providers.smtp import relay as relays
from providers.smtp import verdicts
from providers.smtp.config import SmtpConfig
from providers.smtp.courier import Courier
from providers.smtp.mime import Composer
from providers.smtp.relay import Pool, Relay, Unreachable
from providers.smtp.round import Round
from providers.smtp.signing import Signer, open_signer

# Of what is left of the lease when a batch begins: until then mails are begun, and until then answers are waited for.
# Of the usual 120 s the last mail is begun after 30 s, and its answer has all of the usual patience.
_BEGUN_WITHIN, _ENDED_WITHIN = 0.25, 0.5
# A relay that took mail of ours this lately knows us: what it refuses with such words is about that one mail.
_KNOWS_US_SECONDS = 300.0
_LONGEST_SECONDS = 3600.0


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SmtpMailer:
    """One relay with a pool of connections; safe to share between threads."""

    def __init__(
        self,
        config: SmtpConfig,
        pool: Pool,
        *,
        keys: tuple[str, str],
        signer: Signer | None,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._config, self._pool, self._clock = config, pool, clock
        self._keys, self._signer = keys, signer
        self._last_accepted = float("-inf")

    @property
    def capabilities(self) -> ports.Capabilities:
        return ports.Capabilities(
            batch_size=self._config.batch_size,
            concurrency=self._config.connections,
            variables_per_recipient=True,
            # What comes back of itself is a failure or a delay: of a mail that arrives nothing is heard.
            events=self._config.x_smtpapi or "success" in self._config.dsn_notify,
        )

    def send(self, batch: ports.Batch) -> Outcome:
        """Hand over each message once. Raises Unsendable, before anything is sent, where the batch is faulty."""
        now = self._clock()
        left = min((batch.lease_expires_at - now).total_seconds(), _LONGEST_SECONDS)
        if left <= 0:
            return verdicts.not_sent("the lease ran out before the relay was called, so it was not sent", local=True)
        if batch.schedule_id is not None or (batch.send_at is not None and not self._config.x_smtpapi):
            raise ports.Unsendable("a relay lets mail go at once: it cannot be scheduled")
        composer = self._composer(batch, now)
        knows_us = time.monotonic() - self._last_accepted < _KNOWS_US_SECONDS
        begun_by = time.monotonic() + left * _BEGUN_WITHIN
        under_way = Round(batch, composer, begun_by=begun_by, knows_us=knows_us, now=now)
        self._carry(under_way, until=time.monotonic() + left * _ENDED_WITHIN)
        if under_way.accepted:
            self._last_accepted = time.monotonic()
        return under_way.outcome()

    def _composer(self, batch: ports.Batch, now: datetime) -> Composer:
        try:
            return Composer(batch, self._config, keys=self._keys, signer=self._signer, now=now)
        except ports.Unsendable:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of our program; its text may hold somebody's data
            kind = type(error).__name__
            raise ports.Unsendable(f"the mail could not be written ({kind}); nothing was sent") from None

    def _carry(self, under_way: Round, *, until: float) -> None:
        """Bring all that can be brought; a connection lost on the way is replaced if it had carried anything."""
        while under_way.goes_on():
            try:
                relay = self._pool.take(until=until)
            except Unreachable as trouble:
                under_way.end(trouble.outcome)
                return
            before = relay.carried
            usable = self._carried_by(relay, under_way)
            self._pool.give_back(relay, usable=usable)
            if not usable and relay.carried == before:
                under_way.end(verdicts.not_sent("the relay hung up before it answered for a mail"))

    def _carried_by(self, relay: Relay, under_way: Round) -> bool:
        """Whether the connection can be kept."""
        letters = under_way.letters(relay, self._config.messages_per_connection - relay.carried)
        courier = Courier(
            relay,
            lambda: next(letters),
            under_way.record,
            pipelining=self._config.pipelining,
            notify=self._config.dsn_notify,
        )
        try:
            return courier.run()
        except Exception as error:  # noqa: BLE001 - its text may hold somebody's data; what is known is recorded
            fault = f"our program failed ({type(error).__name__})"
            under_way.end(verdicts.not_sent(fault, stop=True, local=True))
            return False

    def close(self) -> None:
        """Give the kept connections back."""
        self._pool.close()


def open_mailer(
    config: SmtpConfig, *, link_key: str, link_key_id: str = "1", clock: Callable[[], datetime] = _utc_now
) -> SmtpMailer:
    """Return a mailer with a pool of its own; nothing is connected yet. Raises SmtpNotConfigured.

    `link_key`: what Message-IDs and return paths are signed with, as links are.
    """
    config.required_host()
    context = relays.tls_context(config)
    pool = Pool(config, lambda until: relays.connect(config, context, until=until))
    return SmtpMailer(config, pool, keys=(link_key_id, link_key), signer=open_signer(config), clock=clock)
