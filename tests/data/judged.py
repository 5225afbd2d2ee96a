"""The gates as a run has them judged: the subject of one gate, put to Great Expectations."""

from collections.abc import Collection, Sequence
from typing import Any

import pandas as pd
import sqlalchemy as sa

from data import database
from data.expectations import drift, features, gate, orders
from domain.features import BY_NAME
from domain.gate_policy import GatePolicy
from domain.validation import Validation


def of_orders(engine: sa.Engine, **given: Any) -> Validation:
    with database.read(engine) as connection:
        return gate.judge(orders.subject(connection, **given))


def of_features(frame: pd.DataFrame, columns: Sequence[str] = tuple(BY_NAME)) -> Validation:
    return gate.judge(features.subject(frame, columns))


def of_drift(
    engine: sa.Engine, *, account_id: str, columns: Collection[str] = tuple(BY_NAME), policy: GatePolicy
) -> Validation:
    with database.read(engine) as connection:
        return gate.judge(drift.subject(connection, account_id=account_id, columns=columns, policy=policy))
