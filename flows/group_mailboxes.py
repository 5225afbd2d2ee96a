"""Group mailboxes: nightly, which mailbox provider stands behind each customer's domain."""

from prefect import flow

from tasks import mailboxes, upkeep


@flow(name="group-mailboxes")
def group_mailboxes() -> dict[str, int]:
    """Ask the DNS for domains that are new or were asked for a month ago, and tell the customers. Fails as an alarm.

    What was found out before is written also when the DNS does not answer.
    """
    failures = upkeep.Failures()
    counts: dict[str, int] = {}
    with failures.kept("look domains up"):
        counts |= mailboxes.look_up()
    with failures.kept("tell the customers"):
        counts["customers"] = mailboxes.tell_customers()
    failures.raise_kept()
    return counts
