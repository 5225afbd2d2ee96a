"""A population made of a frame, and files of segments in a room of their own."""

import importlib
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import sqlalchemy as sa

import segments
from domain.features import FEATURES, FeatureType
from segments import registry
from segments.population import Shop

AS_OF = datetime(2026, 6, 15, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Frame:
    """Customers who are known by their features alone: no select can be asked of them."""

    customers: pd.DataFrame
    as_of: datetime = AS_OF

    @property
    def shop(self) -> Shop:
        raise NotImplementedError

    def frame(self, columns: Sequence[str]) -> pd.DataFrame:
        return self.customers[["party_id", *columns]]

    def chosen(self, select: sa.Select[tuple[int]]) -> npt.NDArray[np.int64]:
        raise NotImplementedError


def any_customers(seed: int, count: int) -> Frame:
    """Customers with values all over the contract, near the thresholds that segments use, and some not known."""
    random = np.random.default_rng(seed)
    columns: dict[str, object] = {"party_id": np.arange(1, count + 1) * 3}
    for feature in FEATURES:
        most = feature.maximum if feature.maximum is not None else float(random.choice([5, 40, 400, 2000]))
        least = feature.minimum or 0
        numbers = random.uniform(least, most, count)
        values: pd.Series
        match feature.type:
            case FeatureType.COUNT:
                values = pd.Series(numbers.round().astype("int64"))
            case FeatureType.INSTANT:
                values = pd.Series(pd.Timestamp(AS_OF) - pd.to_timedelta(numbers, unit="D"))
            case FeatureType.TEXT:
                words = ["", "DE", "books", "gmail", "granted", "withdrawn", "shopify,web"]
                values = pd.Series(random.choice(words, count))
            case _:
                values = pd.Series(numbers.round(2))
        if feature.nullable:
            values = values.mask(random.random(count) < 0.3)
        columns[feature.name] = values.astype(feature.type.dtype)
    return Frame(pd.DataFrame(columns))


@contextmanager
def room(folder: Path, monkeypatch: pytest.MonkeyPatch, **files: str) -> Iterator[Path]:
    """The registry of a room that holds these files only."""
    for name, source in files.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(source))
    registry.load()  # else the library would be missing afterwards
    with monkeypatch.context() as patch:
        patch.setattr(segments, "__path__", [str(folder)])
        patch.setattr(registry, "_room", registry._Room())
        importlib.invalidate_caches()
        try:
            yield folder
        finally:
            for name in files:
                sys.modules.pop(f"segments.{name}", None)
                vars(segments).pop(name, None)
