"""The turn of a reconciliation: one works at a time, and shows that it does, in its steps and within the long ones."""

from prefect import get_run_logger

from data import database, reconciliations
from data.reconciliations import TurnLost
from tasks import wiring
from tasks.comparing import Night


def renew(night: Night) -> None:
    """Work goes on. Raises TurnLost: another one began, and does what this one would do next."""
    with database.write(wiring.engine()) as connection:
        reconciliations.note(connection, night.id, now=wiring.clock())


def note(night: Night, step: str, **counts: object) -> bool:
    """A step is over; whether the turn is still ours. What a step found is told even where it is not."""
    try:
        with database.write(wiring.engine()) as connection:
            reconciliations.note(connection, night.id, now=wiring.clock(), step=step, **counts)
    except TurnLost as error:
        get_run_logger().warning("%s; what was found until now is shown all the same", error)
        return False
    return True
