"""What features are reckoned from: the frames that data.features.reading makes and data.features.compute takes."""

from dataclasses import dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True, slots=True)
class Facts:
    """Orders, lines and mails of some or all persons of an account, by the party who stands for the person.

    `orders`: order_id, party_id, total and refunded (int, ten-thousandths of the account's currency), placed_at (UTC),
    cancelled, is_test, is_credit, discounted, coupon (bool), channel. A test may also be a replacement.
    `lines`: order_id, category, brand, quantity; such as name neither may be left out.
    `customers`: party_id, country, language; where nothing is known of a person no row is needed.
    `engagement`: party_id, last_opened_at, last_clicked_at, mails_30d, mails_90d; nobody of whom there is nothing.
    `conversion`: orders_converted and orders_without_rate (numbers), and `sources`, whose rates they were reckoned by.
    """

    orders: pd.DataFrame
    lines: pd.DataFrame
    customers: pd.DataFrame
    engagement: pd.DataFrame
    conversion: dict[str, Any]
