"""The model check has teeth: every mistake that is put into the ledger is found, and without one nothing is."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from data import database
from tests.data.ledger_mutants import MUTANTS
from tests.data.test_ledger_model import LedgerMachine

# The same histories on every machine and every day. The first that fails is enough: it need not be made shorter.
_HISTORIES = settings(
    max_examples=300,
    stateful_step_count=12,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mistake_in_the_ledger_is_found(
    name: str, sqlite_url: str, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = database.engine_for(sqlite_url)
    MUTANTS[name](monkeypatch)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(lambda: LedgerMachine(engine, sqlite_template), settings=_HISTORIES)
    engine.dispose()
