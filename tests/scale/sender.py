"""One worker's dispatch without Prefect: `python -m tests.scale.sender RUN`.

Says `ready`, waits for a line, sends until nothing of the run is planned, and says how many batches it did.
"""

import sys
import time

from data import database, ledger_sweep
from domain.ledger import BatchState
from tasks import sending, wiring

_SECONDS = 30


def main(run_id: str) -> None:
    sending.prepared(run_id)  # whatever is imported late is imported now
    _say("ready")
    sys.stdin.readline()
    batches, until = 0, time.monotonic() + _SECONDS
    while time.monotonic() < until:
        done = sending.hand_over(sending.prepared(run_id), lambda _workers: None)
        batches += sum(sum(tally.batches.values()) for tally in done.tallies)
        with database.read(wiring.engine()) as connection:
            if not ledger_sweep.progress(connection, run_id).states.get(BatchState.PLANNED):
                _say(batches)
                return
        time.sleep(0.05)
    sys.exit(f"run {run_id} was not handed over within {_SECONDS} seconds")


def _say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
