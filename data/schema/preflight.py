"""Pre-flight: what was found of each way by which an account's mail can leave."""

import sqlalchemy as sa

from data.columns import Id, Json
from data.schema import base

# One look at one way. A good one is what the DNS's trouble of later days is measured against, and spares the next runs
# the same questions for an hour.
preflights = sa.Table(
    "preflights",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    base.account(),
    base.text("domain"),
    base.text("provider"),
    sa.Column("lines", Json, nullable=False),
    base.text("worst"),
    sa.Column("good", sa.Boolean, nullable=False),  # all that is required was looked at, and is right
    base.at("at"),
    sa.Index(None, "account_id", "domain", "provider", "at"),
)
