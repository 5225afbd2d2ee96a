"""Live features: permission and mailbox, looked up when a frame is read, by the rules that judge an audience."""

from datetime import datetime

import pandas as pd
import sqlalchemy as sa

from data import arrow, eligibility, tables
from domain.suppression import Stream


def read(engine: sa.Engine, *, account_id: str, now: datetime) -> pd.DataFrame:
    """party_id, consent, suppression and mailbox_provider of all customers with features, sorted by party_id.

    `now`: suppressions that end by then are over. A frame says the instant of its features, so that it is told twice alike.
    """
    party, features = tables.parties, tables.customer_features
    people = (
        sa.select(party.c.id.label("party_id"), party.c.address_hash, party.c.mailbox_provider)
        .join_from(features, party, party.c.id == features.c.party_id)
        .where(features.c.account_id == account_id)
        .cte("people")
    )
    shared = eligibility.all_shared_mailboxes(account_id)
    said = sa.func.coalesce(shared.c.consent, eligibility.consent_status(people.c.party_id))
    refused = eligibility.suppressed_by(account_id, people.c.address_hash, Stream.MARKETING, now)
    select = (
        sa.select(
            people.c.party_id,
            sa.type_coerce(said, sa.Text).label("consent"),
            sa.type_coerce(refused, sa.Text).label("suppression"),
            people.c.mailbox_provider,
        )
        .select_from(people.outerjoin(shared, shared.c.address_hash == people.c.address_hash))
        .order_by(people.c.party_id)
    )
    frame: pd.DataFrame = arrow.read_table(engine, select).to_pandas()
    return frame
