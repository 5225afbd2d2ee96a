"""Our figures against those of an ESP that answers over a real wire."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import orjson
import pytest
import sqlalchemy as sa

import settings
from data import database, reconciliations, tables
from domain.esp_record import SourceFailed
from domain.reconciliation import Difference, Explanation, Kind
from providers.sendgrid.stats import METRICS
from tasks import comparing, reconciliation_words, reconciling, wiring
from tasks.comparing import Night
from tests.conftest import LINK_KEY, PEPPER
from tests.data import ledger_rows
from tests.data.ledger_rows import NOW, BatchRow
from tests.providers import loopback
from tests.providers.loopback import Answer, Received

pytestmark = pytest.mark.usefixtures("account_id")
DAY = NOW.date()
LATER = NOW + timedelta(days=3)


def day_of(day: date, name: str | None, **counts: int) -> dict[str, object]:
    """What SendGrid counted of a day, under a category or (None) in all."""
    nothing = dict.fromkeys((metric for metrics in METRICS.values() for metric in metrics), 0)
    stats = {"metrics": nothing | counts} | ({"name": name, "type": "category"} if name else {})
    return {"date": day.isoformat(), "stats": [stats]}


def run_of(connection: sa.Connection, account: str, run_id: str, campaign: str, size: int, at: object) -> None:
    """Mail of a campaign of which nobody told us anything."""
    attempt = f"a-{run_id}"
    batch = BatchRow(0, size - 1, attempt=attempt)
    ledger_rows.add_run(connection, account, [], [batch], run_id=run_id, created_at=at)
    table = tables.campaigns
    connection.execute(table.update().where(table.c.name == f"campaign of {run_id}").values(name=campaign))
    table = tables.batch_attempts
    connection.execute(table.update().where(table.c.id == attempt).values(claimed_at=at, finished_at=at))


def answering(request: Received, *counted: tuple[str, dict[str, int]]) -> Answer:
    """Of NOW's day these categories, as far as they are asked for, and in all their sum."""
    if "categories" in request.target:
        asked = [day_of(DAY, name, **counts) for name, counts in counted if f"categories={name}" in request.target]
        return Answer(200, orjson.dumps(asked))
    sums: dict[str, int] = {}
    for _, counts in counted:
        for name, count in counts.items():
            sums[name] = sums.get(name, 0) + count
    return Answer(200, orjson.dumps([day_of(DAY, None, **sums)]))


@pytest.fixture
def installation(
    engine: sa.Engine, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.chdir(tmp_path)  # no .env of the developer's
    for name, value in {
        "OMS_DATABASE_URL": database_url,
        "OMS_PRIVACY_PEPPER": PEPPER,
        "OMS_PRIVACY_LINK_KEY": LINK_KEY,
        "OMS_SENDGRID_API_KEY": "SG.key",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(wiring, "clock", lambda: LATER)
    yield monkeypatch
    settings.load.cache_clear()


def night(account: str | None, night_id: str = "n") -> Night:
    return Night(night_id, DAY - timedelta(days=2), LATER.date(), account, False, LATER - timedelta(hours=6), LATER)


def compared(patch: pytest.MonkeyPatch, account: str | None, answer: Callable[[Received], Answer]) -> list[Difference]:
    with loopback.answering(answer) as server:
        patch.setenv("OMS_SENDGRID_BASE_URL", server.url)
        settings.load.cache_clear()
        mail = comparing.accepted(night(account))
        return comparing.of_counts(night(account), ["sendgrid"], mail, mail)


def test_of_one_account_the_campaigns_of_others_with_the_same_name_are_counted_too(
    engine: sa.Engine, installation: pytest.MonkeyPatch
) -> None:
    with database.write(engine) as connection:
        ledger_rows.add_account(connection, "other")
        run_of(connection, "shop", "run1", "news", 40, NOW)
        run_of(connection, "other", "run2", "news", 30, NOW)
        run_of(connection, "other", "run3", "sale", 20, NOW)
    counted = [("news", {"requests": 70, "delivered": 65}), ("sale", {"requests": 19})]
    found = compared(installation, "shop", lambda request: answering(request, *counted))
    # 65 arrived and nobody told us: of 70 messages, of both accounts, nothing is known of that hour.
    assert [(one.measure, one.explanation, one.count) for one in found] == [("delivered", Explanation.OUTAGE, 65)]
    of_all = compared(installation, None, lambda request: answering(request, *counted))
    assert [(one.campaign, one.measure, one.count) for one in of_all if one not in found] == [("sale", "requested", 1)]


def test_what_an_older_campaign_did_in_an_outage_was_not_sent_past_us(
    engine: sa.Engine, installation: pytest.MonkeyPatch
) -> None:
    with database.write(engine) as connection:
        run_of(connection, "shop", "run1", "news", 40, NOW - timedelta(days=10))
        run_of(connection, "shop", "run2", "sale", 40, NOW)
    counted = [("news", {"unique_opens": 9}), ("sale", {"requests": 40})]
    found = compared(installation, None, lambda request: answering(request, *counted))
    assert [(one.campaign, one.measure, one.explanation) for one in found] == [("news", "opened", Explanation.OUTAGE)]


def test_figures_that_could_not_be_had_are_not_taken_for_equal(
    engine: sa.Engine, installation: pytest.MonkeyPatch
) -> None:
    days = (DAY - timedelta(days=2), LATER.date())
    with database.write(engine) as connection:
        taken = reconciliations.begin(connection, worker="w", days=days, account_id=None, dry_run=False, now=LATER)
    with loopback.answering(lambda _: Answer(500)) as server:
        installation.setenv("OMS_SENDGRID_BASE_URL", server.url)
        settings.load.cache_clear()
        with pytest.raises(SourceFailed):
            reconciling.compare_counts.fn(night(None, taken), ["sendgrid"], [], [])
    with database.read(engine) as connection:
        (kept,) = reconciliations.nights(connection, limit=5)
    told = reconciliation_words.markdown(night(None, taken), [], kept.steps, [])
    assert "Nothing differs. Not all could be asked and compared." in told
    assert "compare the counts of sendgrid: SendGrid answered 500" in told


def test_the_trend_is_of_whole_nights_of_the_same_accounts(engine: sa.Engine) -> None:
    days = (DAY, DAY)
    one = Difference(Kind.SILENT, "sendgrid", DAY, 30, Explanation.OUTAGE)
    with database.write(engine) as connection:
        for minute, (account, dry_run) in enumerate([(None, False), ("shop", False), (None, True)]):
            at = NOW + timedelta(minutes=minute)
            taken = reconciliations.begin(
                connection, worker="w", days=days, account_id=account, dry_run=dry_run, now=at
            )
            reconciliations.keep(connection, taken, [one] * (account is None))
            reconciliations.finish(connection, taken, whole=True, now=at)
    with database.read(engine) as connection:
        nights = reconciliations.nights(connection, limit=5)
    (of_all,), (of_one,) = (reconciliation_words.by_date(nights, account) for account in (None, "shop"))
    assert (of_all.dry_run, of_all.account_id, of_all.counts) == (False, None, {Kind.SILENT: 30})
    assert (of_one.dry_run, of_one.account_id, of_one.counts) == (False, "shop", {})
