"""docs/add-a-channel.md: its adapter is taken out of the page, held to its own tests, and run through the whole intake."""

import json
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from data import database, tables
from data.channels import registry
from data.channels.channel import Origin
from data.channels.connections import Connection, Connections
from data.intake import pull
from gateway import orders
from gateway.config import GatewayConfig
from gateway.metrics import Metrics
from tests.conftest import NOW
from tests.data.channels import raw_orders
from tests.data.intake import feed, pushes
from tests.providers.loopback import Answer, Received, answering

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/add-a-channel.md").read_text("utf-8")
FILE, TEST, PAYLOAD = "data/channels/kiosk.py", "tests/data/channels/test_kiosk.py", "kiosk/receipts.json"


def block(language: str, after: str) -> str:
    """The code block that follows the first mention of a file."""
    found = re.search(rf"`[^`]*{re.escape(after)}`.*?```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None, after
    return found[1]


def module(name: str, source: str, path: Path) -> types.ModuleType:
    made = types.ModuleType(name)
    made.__file__ = str(path)
    sys.modules[name] = made
    exec(compile(source, f"docs/add-a-channel.md: {name}", "exec"), made.__dict__)
    return made


@pytest.fixture
def kiosk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """The page's adapter as a module, in the registry, with its payload where payloads are."""
    payloads = tmp_path / "payloads"
    (payloads / "kiosk").mkdir(parents=True)
    (payloads / PAYLOAD).write_text(block("json", PAYLOAD), "utf-8")
    monkeypatch.setattr(raw_orders, "PAYLOADS", payloads)
    made = module("data.channels.kiosk", block("python", FILE), tmp_path / "kiosk.py")
    monkeypatch.setitem(registry.CHANNELS, made.CHANNEL.name, made.CHANNEL)
    yield made
    del sys.modules["data.channels.kiosk"]


def connections(**more: Any) -> Connections:
    said = {"account": "shop", "channel": "kiosk", "timezone": "Europe/Berlin", **more}
    return Connections.model_validate({"connections": [said]})


def body() -> bytes:
    return block("json", PAYLOAD).encode()


def held(engine: sa.Engine) -> list[tuple[str, str, Decimal]]:
    order = tables.orders.c
    with database.read(engine) as connection:
        rows = connection.execute(sa.select(order.external_id, order.status, order.total).order_by(order.external_id))
        return [tuple(row) for row in rows]


def test_the_pages_own_tests_pass(kiosk, tmp_path):
    tests = module("tests.data.channels.test_kiosk", block("python", TEST), tmp_path / "test_kiosk.py")
    named = [name for name in vars(tests) if name.startswith("test_")]
    assert len(named) == 5
    for name in named:
        getattr(tests, name)()
    del sys.modules["tests.data.channels.test_kiosk"]


@pytest.mark.parametrize("name", [FILE, TEST])
def test_the_pages_code_is_in_the_house_style(name):
    # The page's adapter is not on the disk, where ruff looks for whose an import is.
    ours = 'lint.isort.known-first-party = ["data", "domain", "tests"]'
    for check in (["check", "--config", ours], ["format", "--check"]):
        command = [Path(sys.executable).with_name("ruff"), *check, "--stdin-filename", str(ROOT / name), "-"]
        done = subprocess.run(
            command, input=block("python", name), cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_line_for_the_registry_is_one_that_fits():
    line = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert line is not None
    assert line[1].rstrip() == "        kiosk.CHANNEL,"
    assert "        adobe.CHANNEL,\n" in (ROOT / "data/channels/registry.py").read_text()


@pytest.mark.parametrize("name", re.findall(r"`((?:data|tests|docs)/[a-z_/]+\.(?:py|yaml))`", PAGE))
def test_what_the_page_points_at_is_there(name):
    assert "kiosk" in name or (ROOT / name).is_file()


@pytest.mark.usefixtures("account_id", "kiosk")
class TestThroughTheIntake:
    def test_a_file(self, engine):
        feed.keep(engine, feed.Incoming(body(), Origin.FILE, "march.json", NOW), channel="kiosk")
        counts = feed.drained(engine, connections=connections()).counts()
        assert (counts["loaded"], counts["ignored"], counts["refused"]) == (2, 1, 1)
        assert held(engine) == [
            ("1002", "cancelled", Decimal(1980)),
            ("9007199254740995", "paid", Decimal("59.80")),
        ]
        (letter,) = feed.letters(engine)
        assert (letter.rule, letter.external_id, letter.row_number) == ("status_unknown", "1004", 4)
        assert letter.reason == "state is none of: open, paid, void. What does it mean?"
        with database.read(engine) as connection:
            consent = connection.execute(sa.select(tables.consents)).one()
        assert (consent.status, consent.channel, consent.source) == ("granted", "kiosk", "till")
        feed.keep(engine, feed.Incoming(body(), Origin.FILE, "again.json", NOW, topic="again"), channel="kiosk")
        assert feed.drained(engine, connections=connections()).counts()["unchanged"] == 2

    def test_a_push_through_the_door(self, engine, tmp_path):
        receipt = json.dumps(json.loads(body())["receipts"][0]).encode()
        channels = tmp_path / "channels.yaml"
        channels.write_text(
            f"connections: [{{account: shop, channel: kiosk, webhook_secrets: [{pushes.MEDUSA_SECRET}]}}]", "utf-8"
        )
        app = FastAPI()
        door = orders.Door(engine, channels, 1000, lambda: NOW)
        app.include_router(orders.router(door, config=GatewayConfig(), metrics=Metrics()))

        async def push() -> httpx.Response:
            wire = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=wire, base_url="http://127.0.0.1") as client:
                return await client.post("/orders/kiosk/shop", content=receipt, headers=pushes.medusa(receipt))

        assert anyio.run(push).status_code == 200
        assert feed.drained(engine, connections=connections()).counts()["loaded"] == 1

    def test_a_pull_of_many_pages(self, engine):
        template = json.loads(body())["receipts"][1]
        start = NOW - timedelta(days=1)
        receipts = [
            template | {"id": 5000 + number, "changed": (start + timedelta(minutes=number // 3)).isoformat()}
            for number in range(20)
        ]

        def till(received: Received) -> Answer:
            if received.headers.get("Authorization") != "Bearer k1":
                return Answer(401)
            query = dict(part.split("=") for part in received.target.partition("?")[2].split("&"))
            first, last = (
                datetime.fromisoformat(query[name].replace("%3A", ":").replace("%2B", "+")).astimezone(UTC)
                for name in ("changed_from", "changed_to")
            )
            inside = [one for one in receipts if first <= datetime.fromisoformat(one["changed"]) < last]
            page, size = int(query["page"]), int(query["size"])
            more = page + 1 if (page + 1) * size < len(inside) else None
            return Answer(200, json.dumps({"receipts": inside[page * size : (page + 1) * size], "next": more}).encode())

        with answering(till) as server:
            known = connections(api={"url": server.url, "token": "k1", "page_size": 4})
            report = pull.pull(engine, _only(known), clock=lambda: NOW)
        assert report.until == NOW
        assert feed.drained(engine, connections=known).counts()["loaded"] == 20


def _only(known: Connections) -> Connection:
    (one,) = known.connections
    return one
