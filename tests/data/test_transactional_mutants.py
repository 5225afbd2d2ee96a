"""The model check has teeth: every mistake that is put into the transactional queue is found."""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from data import database
from tests.data.test_transactional_model import QueueMachine
from tests.data.transactional_mutants import MUTANTS

# The same histories on every machine and every day. The first that fails is enough: it need not be made shorter.
_HISTORIES = settings(
    max_examples=400,
    stateful_step_count=14,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mistake_in_the_queue_is_found(name: str, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = database.engine_for(sqlite_url)
    MUTANTS[name](monkeypatch)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(lambda: QueueMachine(engine), settings=_HISTORIES)
    engine.dispose()
