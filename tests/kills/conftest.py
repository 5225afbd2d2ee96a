"""What is killed: real processes over one filled store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kills import processes, shop
from tests.kills.processes import Installation


@pytest.fixture
def installation(database_url: str, tmp_path: Path) -> Iterator[Installation]:
    with processes.installed(database_url, tmp_path) as made:
        shop.fill(made.engine)
        yield made
