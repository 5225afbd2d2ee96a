"""What our mail is to them: read, ignored, or not yet sent. Only people's openings count, not their mailbox's machine's."""

from datetime import datetime

import pandas as pd

from segments.registry import Members, segment


@segment(
    "engaged",
    owner="data-team",
    needs=("days_since_engaged",),
    inside=[{"days_since_engaged": 29.9}, {"days_since_engaged": 89.9, "with": {"days": 90}}],
    outside=[
        {"days_since_engaged": 30.0},
        {"days_since_engaged": None},
        {"days_since_engaged": 90.0, "with": {"days": 90}},
    ],
)
def engaged(customers: pd.DataFrame, as_of: datetime, *, days: int = 30) -> Members:
    """Opened or clicked a mail within the last 30 days: the ones to begin with on a new sending domain.

    days: within how many days they opened or clicked
    """
    return customers.days_since_engaged < days


@segment(
    "engaged-non-buyers",
    owner="data-team",
    needs=("days_since_engaged", "days_since_last_order"),
    inside=[{"days_since_engaged": 29.9, "days_since_last_order": 181}],
    outside=[
        {"days_since_engaged": 30.0, "days_since_last_order": 400},
        {"days_since_engaged": None, "days_since_last_order": 400},
        {"days_since_engaged": 3.0, "days_since_last_order": 180},
    ],
)
def engaged_non_buyers(customers: pd.DataFrame, as_of: datetime, *, days: int = 30, silent: int = 180) -> Members:
    """Opened or clicked a mail within the last 30 days, but ordered nothing for over 180: they look, so make an offer.

    days: within how many days they opened or clicked
    silent: for how many days they ordered nothing, more than
    """
    return (customers.days_since_engaged < days) & (customers.days_since_last_order > silent)


@segment(
    "unengaged",
    owner="data-team",
    needs=("days_since_engaged", "days_since_last_order", "mails_90d"),
    inside=[
        {"days_since_engaged": None, "days_since_last_order": 181, "mails_90d": 3},
        {"days_since_engaged": 180.0, "days_since_last_order": 181, "mails_90d": 3},
        {"days_since_engaged": 90.0, "days_since_last_order": 91, "mails_90d": 3, "with": {"days": 90}},
    ],
    outside=[
        {"days_since_engaged": None, "days_since_last_order": 181, "mails_90d": 2},
        {"days_since_engaged": 179.9, "days_since_last_order": 400, "mails_90d": 9},
        {"days_since_engaged": None, "days_since_last_order": 180, "mails_90d": 9},
    ],
)
def unengaged(customers: pd.DataFrame, as_of: datetime, *, days: int = 180, mails: int = 3) -> Members:
    """Sunset: three mails or more in 90 days, and neither opened, clicked nor ordered for 180: ask once more, then stop.

    Also called sunset. Who got no mail cannot have ignored it, and who orders is not gone, whatever is opened: many
    mailboxes hide openings.

    days: for how many days they neither opened, clicked nor ordered
    mails: how many mails they got in the last 90 days, at least
    """
    silent = ~(customers.days_since_engaged < days)
    return silent & (customers.days_since_last_order > days) & (customers.mails_90d >= mails)


@segment(
    "never-engaged",
    owner="data-team",
    needs=("days_since_engaged", "mails_90d"),
    inside=[{"days_since_engaged": None, "mails_90d": 3}],
    outside=[{"days_since_engaged": None, "mails_90d": 2}, {"days_since_engaged": 900.0, "mails_90d": 3}],
)
def never_engaged(customers: pd.DataFrame, as_of: datetime, *, mails: int = 3) -> Members:
    """Got three mails or more in 90 days and never opened or clicked one: try another subject, sender or hour.

    mails: how many mails they got in the last 90 days, at least
    """
    return customers.days_since_engaged.isna() & (customers.mails_90d >= mails)


@segment(
    "heard-nothing-lately",
    owner="data-team",
    needs=("mails_30d",),
    inside=[{"mails_30d": 0}, {"mails_30d": 2, "with": {"mails": 2}}],
    outside=[{"mails_30d": 1}, {"mails_30d": 3, "with": {"mails": 2}}],
)
def heard_nothing_lately(customers: pd.DataFrame, as_of: datetime, *, mails: int = 0) -> Members:
    """Got no marketing mail in the last 30 days.

    mails: how many they got at most
    """
    return customers.mails_30d <= mails


@segment(
    "often-mailed",
    owner="data-team",
    needs=("mails_30d",),
    inside=[{"mails_30d": 8}, {"mails_30d": 4, "with": {"mails": 4}}],
    outside=[{"mails_30d": 7}, {"mails_30d": 3, "with": {"mails": 4}}],
)
def often_mailed(customers: pd.DataFrame, as_of: datetime, *, mails: int = 8) -> Members:
    """Got eight marketing mails or more in the last 30 days: spare them.

    mails: how many they got, at least
    """
    return customers.mails_30d >= mails


@segment(
    "at-mailbox-provider",
    owner="data-team",
    needs=("mailbox_provider",),
    inside=[{"mailbox_provider": "gmail"}, {"mailbox_provider": "yahoo", "with": {"provider": "Yahoo"}}],
    outside=[{"mailbox_provider": "yahoo"}, {"mailbox_provider": None}],
)
def at_mailbox_provider(customers: pd.DataFrame, as_of: datetime, *, provider: str = "gmail") -> Members:
    """Have their mailbox with one provider: Gmail, if none is chosen. To warm up slowly, or when one provider blocks us.

    provider: which provider, by the name that previews show, such as gmail, outlook, yahoo
    """
    return customers.mailbox_provider == provider.strip().lower()
