"""The gateway is killed under load, again and again: what was answered 202 is there, and no key has two messages."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from data import database, tables
from tests.conftest import LINK_KEY, PEPPER
from tests.gateway.message_api import body, new_key
from tests.gateway.test_orders import _until_it_answers
from tests.providers.loopback import closed_port

ROOT = Path(__file__).parents[2]
_KILLS = 3
_PROGRAMS = 6


@contextmanager
def gateway(url: str, port: int, folder: Path) -> Iterator[subprocess.Popen]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("OMS_")},
        "PYTHONPATH": str(ROOT),
        "OMS_DATABASE_URL": url,
        "OMS_PRIVACY_PEPPER": PEPPER,
        "OMS_PRIVACY_LINK_KEY": LINK_KEY,
        "OMS_GATEWAY_PORT": str(port),
        "OMS_GATEWAY_APPLY_EVENTS": "false",
    }
    process = subprocess.Popen([sys.executable, "-m", "cli.serve", "gateway"], cwd=folder, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@dataclass
class Load:
    """Programs that ask, and ask again with the same key where nobody knows."""

    base: str
    secret: str
    told: dict[int, set[str]] = field(default_factory=dict)  # number of the request → ids that were answered
    unsure: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def work(self, first: int) -> None:
        number = first
        while not self.stop.is_set():
            with httpx.Client(base_url=self.base, timeout=30, trust_env=False) as client:
                number = self._ask(client, number)

    def _ask(self, client: httpx.Client, number: int) -> int:
        while not self.stop.is_set():
            try:
                answer = self.ask(client, number)
            except httpx.TransportError:
                self.unsure += 1
                time.sleep(0.05)
                return number
            assert answer.status_code in {202, 503}, answer.text
            if answer.status_code == 202:
                self.told.setdefault(number, set()).add(answer.json()["id"])
                number += _PROGRAMS
        return number

    def ask(self, client: httpx.Client, number: int) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.secret}", "Idempotency-Key": f"request-{number}"}
        variables = {"reset_url": "https://shop.test/r", "valid_minutes": number}
        return client.post("/messages", json=body(variables=variables), headers=headers)


@pytest.mark.slow
def test_what_was_answered_is_kept_once_whenever_the_gateway_dies(engine, database_url, account_id, tmp_path):
    port, chance = closed_port(), random.Random(8)
    load = Load(f"http://127.0.0.1:{port}", new_key(engine, per_minute=60_000))
    threads = [threading.Thread(target=load.work, args=(number,), daemon=True) for number in range(_PROGRAMS)]
    with httpx.Client(base_url=load.base, trust_env=False) as client:
        for life in range(_KILLS):
            with gateway(database_url, port, tmp_path) as process:
                _until_it_answers(client, process)
                for thread in threads if not life else []:
                    thread.start()
                answered = len(load.told)
                while len(load.told) < answered + 5:  # at work again
                    time.sleep(0.01)
                time.sleep(chance.uniform(0.0, 0.7))
                process.send_signal(signal.SIGKILL)
        load.stop.set()
        for thread in threads:
            thread.join(60)
        with gateway(database_url, port, tmp_path) as process:
            _until_it_answers(client, process)
            for number in sorted(load.told)[-50:]:
                load.told[number].add(load.ask(client, number).json()["id"])
    with database.read(engine) as connection:
        rows = connection.execute(sa.select(tables.transactional_messages)).all()
        keys = connection.scalar(sa.select(sa.func.count()).select_from(tables.idempotency_keys))
    assert load.unsure > 0
    assert {number for number, ids in load.told.items() if len(ids) != 1} == set()
    kept = {row.id for row in rows}
    assert {one for ids in load.told.values() for one in ids} - kept == set()
    assert Counter(int(row.variables["valid_minutes"]) for row in rows).most_common(1)[0][1] == 1
    assert keys == len(rows)
