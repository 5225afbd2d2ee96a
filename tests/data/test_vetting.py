from datetime import timedelta

import pytest
import sqlalchemy as sa

from data import database, deliveries, tables, vetting
from data.vetting import Record, Vetting
from domain.delivery import DeliveryState, Seen, Severity
from domain.ledger import BatchState, MessageState
from domain.vetting import Standing
from tests.data import ledger_rows
from tests.data.ledger_rows import NOW, BatchRow

LATER = NOW + timedelta(days=10)


def vet(engine: sa.Engine, **facts: bool) -> Vetting:
    with database.write(engine) as connection:
        return vetting.vet(
            connection,
            "shop",
            domain_authenticated=facts.get("authenticated", True),
            rehearsals={"sandbox"},
            now=LATER,
        )


def standing(engine: sa.Engine) -> Standing:
    with database.read(engine) as connection:
        return vetting.standing(connection, "shop")


@pytest.fixture
def mailed(engine: sa.Engine, account_id: str) -> sa.Engine:
    """Twelve accepted of which one bounced hard, one softly and one complained; others that do not count."""
    with database.write(engine) as connection:
        ids = ledger_rows.add_parties(connection, "shop", 20)
        rows = [
            BatchRow(0, 9, attempt="a"),
            BatchRow(10, 13, attempt="b", exceptions={12: MessageState.SUPPRESSED, 13: MessageState.REJECTED}),
            BatchRow(14, 16, attempt="c", state=BatchState.HELD),
            BatchRow(17, 19, attempt="d"),
        ]
        run_id = ledger_rows.add_run(connection, "shop", ids, rows)
        attempts = tables.batch_attempts
        connection.execute(attempts.update().where(attempts.c.id == "d").values(provider="sandbox"))
        bounced = Seen.PROCESSED | Seen.BOUNCED
        deliveries.join(
            connection,
            {
                (run_id, 0): DeliveryState(bounced, Severity.HARD),
                (run_id, 1): DeliveryState(bounced, Severity.SOFT),
                (run_id, 2): DeliveryState(Seen.DELIVERED | Seen.COMPLAINED),
                (run_id, 3): DeliveryState(Seen.DROPPED, Severity.HARD),  # the ESP never tried: it knew already
                (run_id, 15): DeliveryState(bounced, Severity.HARD),
                (run_id, 18): DeliveryState(bounced, Severity.HARD),
            },
        )
    return engine


def test_the_record_counts_what_really_went_out_in_30_days(mailed: sa.Engine) -> None:
    with database.read(mailed) as connection:

        def record(days: int) -> Record:
            now = NOW + timedelta(days=days)
            return vetting.record(connection, "shop", rehearsals={"sandbox"}, now=now)

        assert record(10) == Record(days_of_history=10, accepted=12, hard_bounces=1, complaints=1)
        assert record(40) == Record(days_of_history=40, accepted=0, hard_bounces=0, complaints=0)
        everything = vetting.record(connection, "shop", rehearsals=(), now=LATER)
        assert vetting.record(connection, "tea", rehearsals=(), now=LATER) == Record(0, 0, 0, 0)
        assert everything == Record(days_of_history=10, accepted=15, hard_bounces=2, complaints=1)


def test_an_account_that_nobody_vetted_or_that_never_mailed_is_new(engine: sa.Engine, account_id: str) -> None:
    assert standing(engine) is Standing.NEW
    found = vet(engine, authenticated=False)
    assert (found.standing, found.record) == (Standing.NEW, Record(0, 0, 0, 0))
    assert found.reasons[0] == "a sending domain is not authenticated"


def test_figures_decide_until_a_person_does_and_again_once_that_is_lifted(mailed: sa.Engine) -> None:
    assert vet(mailed).standing is Standing.NEW
    with database.write(mailed) as connection:
        vetting.decide(connection, "shop", Standing.GOOD, by="Ann", why="moved here with its domain", now=LATER)
    assert standing(mailed) is Standing.GOOD
    found = vet(mailed)
    assert (found.standing, found.judged, found.decided_by) == (Standing.GOOD, Standing.NEW, "Ann")
    assert found.why == "moved here with its domain"
    assert vet(mailed) == found
    with database.write(mailed) as connection:
        assert vetting.lift(connection, "shop")
        assert not vetting.lift(connection, "shop")
    assert standing(mailed) is Standing.NEW
    assert (vet(mailed).decided_by, vet(mailed).standing) == (None, Standing.NEW)
