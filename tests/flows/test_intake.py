"""The flows of the intake, as Prefect runs them: over real records, a real door and shops that answer or do not."""

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
import yaml

import settings
from data import database, tables
from data.channels.api import ChannelRefused, ChannelUnavailable
from data.channels.channel import Origin, Urgency
from data.intake import quarantine
from flows.ingest_orders import ingest_orders
from flows.pull_orders import pull_orders
from flows.watch_intake import watch_intake
from gateway.app import create_app
from tasks import intake, wiring
from tasks.intake import Quarantined
from tasks.intake_artifacts import IntakeUnwell
from tasks.upkeep import UpkeepFailed
from tests.conftest import LINK_KEY, PEPPER
from tests.data.intake import feed, pushes
from tests.data.intake.test_pull import BUSY, WooCommerce, open_shop
from tests.flows import shown
from tests.flows.conftest import serving
from tests.flows.shown import artifacts

pytestmark = pytest.mark.slow
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def channels(tmp_path: Path) -> Callable[..., None]:
    """Write channels.yaml."""

    def write(*connections: dict[str, Any]) -> None:
        path = tmp_path / "channels.yaml"
        said = [{"account": "shop", **one} for one in connections]
        path.write_text(yaml.safe_dump({"connections": said}), "utf-8")
        os.utime(path, ns=(0, time.monotonic_ns()))  # another time, whatever the clock of the file system

    write()
    return write


@pytest.fixture
def now() -> datetime:
    return wiring.clock().replace(microsecond=0)


@pytest.fixture(autouse=True)
def installed(
    engine: sa.Engine,
    account_id: str,
    database_url: str,
    channels: object,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)  # no .env of the developer's
    for name, value in {
        "OMS_ACCOUNT": account_id,
        "OMS_DATABASE_URL": database_url,
        "OMS_PRIVACY_PEPPER": PEPPER,
        "OMS_PRIVACY_LINK_KEY": LINK_KEY,
        "OMS_INTAKE_CHANNELS_FILE": str(tmp_path / "channels.yaml"),
    }.items():
        monkeypatch.setenv(name, value)
    settings.load.cache_clear()
    monkeypatch.setattr(intake, "_PAUSE_SECONDS", 0.1)
    yield
    settings.load.cache_clear()


def waiting(engine: sa.Engine, *rows: str, channel: str = "csv", **about: Any) -> None:
    feed.keep(engine, feed.document(rows, **({"received_at": wiring.clock()} | about)), channel=channel)


def orders(engine: sa.Engine) -> set[str]:
    with database.read(engine) as connection:
        return set(connection.scalars(sa.select(tables.orders.c.external_id)))


class TestIngestOrders:
    def test_it_drains_what_waits_and_ends(self, engine):
        waiting(engine, feed.row("1"), feed.row("2", status="teleported"))
        counts = ingest_orders(linger_seconds=0)
        assert (counts["loaded"], counts["refused"], counts["letters_tried"]) == (1, 1, 0)
        assert orders(engine) == {"1"}

    def test_nothing_waiting_is_no_failure(self):
        assert ingest_orders(linger_seconds=0)["letters_tried"] == 0

    def test_it_stays_unless_told_otherwise(self, monkeypatch):
        stays = []
        monkeypatch.setattr(intake, "drain_queue", lambda linger_seconds: stays.append(linger_seconds) or {})
        ingest_orders()
        assert stays == [285]

    def test_what_arrives_while_it_lingers_is_taken_in_by_the_same_run(self, engine):
        waiting(engine, feed.row("1"))

        def arrive() -> None:
            while orders(engine) != {"1"}:
                time.sleep(0.05)
            waiting(engine, feed.row("2"))

        late = threading.Thread(target=arrive)
        late.start()
        counts = ingest_orders(linger_seconds=6)
        late.join()
        assert (orders(engine), counts["loaded"], counts["records"]) == ({"1", "2"}, 2, 2)

    def test_a_connection_that_is_added_while_it_lingers_is_heeded(self, engine, channels):
        def arrive() -> None:
            time.sleep(0.5)
            channels({"channel": "till", "adapter": "csv"})
            time.sleep(2)  # a pass that began with the old file is over by then
            waiting(engine, feed.row("1"), channel="till")

        late = threading.Thread(target=arrive)
        late.start()
        ingest_orders(linger_seconds=8)
        late.join()
        assert orders(engine) == {"1"}

    def test_a_quarantined_channel_fails_the_run_with_a_sentence_and_the_others_are_drained(self, engine, channels):
        channels({"channel": "till", "adapter": "csv"})
        waiting(engine, *(feed.row(f"{n}", status="teleported" if n % 5 == 0 else "paid") for n in range(300)))
        waiting(engine, feed.row("good"), channel="till")
        with pytest.raises(Quarantined) as caught:
            ingest_orders(linger_seconds=0)
        told = str(caught.value)
        assert told.startswith("csv of shop: this does not hold: ")
        assert "20 %" in told
        assert "Nothing is lost: see `campaigns intake quarantine`" in told
        assert orders(engine) == {"good"}
        waiting(engine, feed.row("better"), channel="till")
        ingest_orders(linger_seconds=0)  # an alarm rings once; `watch-intake` goes on to tell
        assert orders(engine) == {"good", "better"}

    def test_and_is_taken_in_once_a_person_releases_it(self, engine):
        waiting(engine, *(feed.row(f"{n}", status="teleported" if n % 5 == 0 else "paid") for n in range(300)))
        with pytest.raises(Quarantined):
            ingest_orders(linger_seconds=0)
        with database.write(engine) as connection:
            quarantine.release(connection, "shop", "csv", by="jo", note="known", now=wiring.clock())
        counts = ingest_orders(linger_seconds=0)
        assert (counts["loaded"], counts["refused"]) == (240, 60)

    def test_what_time_alone_may_cure_is_tried_again_and_the_rest_is_not(self, engine, now, monkeypatch):
        soon = (now + 2 * DAY).isoformat()
        waiting(engine, feed.row("early", placed_at=soon, updated_at=soon), feed.row("bad", status="teleported"))
        assert ingest_orders(linger_seconds=0)["refused"] == 2
        monkeypatch.setattr(wiring, "clock", lambda: now + 11 * MINUTE)
        counts = ingest_orders(linger_seconds=0)
        assert (counts["letters_tried"], counts["letters_cured"]) == (1, 0)
        assert ingest_orders(linger_seconds=0)["letters_tried"] == 0  # the pauses grow
        monkeypatch.setattr(wiring, "clock", lambda: now + 3 * DAY)
        counts = ingest_orders(linger_seconds=0)
        assert (counts["letters_tried"], counts["letters_cured"]) == (1, 1)
        assert orders(engine) == {"early"}
        early, bad = feed.letters(engine)
        assert (early.state != "open", bad.state, bad.attempts) == (True, "open", 0)

    def test_letters_that_cannot_be_tried_do_not_keep_the_queue_waiting(self, engine, monkeypatch):
        waiting(engine, feed.row("1"))

        def broken(_intake: object) -> dict[str, int]:
            raise RuntimeError("letters")

        monkeypatch.setattr(intake.letters, "retry", broken)
        with pytest.raises(RuntimeError, match="letters"):
            ingest_orders(linger_seconds=0)
        assert orders(engine) == {"1"}

    def test_a_mistake_in_channels_yaml_is_the_runs_own_sentence(self, engine, tmp_path):
        (tmp_path / "channels.yaml").write_text("connections: [{channel: csv}]", "utf-8")
        with pytest.raises(UpkeepFailed, match=r"connections\.0\.account: Field required"):
            ingest_orders(linger_seconds=0)


class TestPullOrders:
    def connection(self, shop: WooCommerce, channel: str = "woocommerce", **api: Any) -> dict[str, Any]:
        access = {"url": shop.url, "user": "ck_1", "secret": "cs_1", **api}
        return {"channel": channel, "adapter": "woocommerce", "api": access}

    def test_all_that_have_an_api_are_asked(self, engine, channels, now):
        with open_shop() as one, open_shop() as two:
            one.change(1, now - HOUR)
            two.change(2, now - HOUR)
            channels(self.connection(one), self.connection(two, "woo-fr"), {"channel": "csv"})
            assert pull_orders() == {"new_pages": 2}
            ingest_orders(linger_seconds=0)
        assert orders(engine) == {"1", "2"}

    def test_or_only_the_one_that_is_named(self, engine, channels, now):
        with open_shop() as one, open_shop() as two:
            channels(self.connection(one), self.connection(two, "woo-fr"))
            pull_orders(channel="woo-fr")
            pull_orders(account="tea")
        assert (one.asked, len(two.asked)) == ([], 1)

    def test_one_that_does_not_answer_hides_no_other_and_fails_the_run(self, engine, channels, now):
        with open_shop() as one, open_shop() as two:
            one.answers = [BUSY]
            two.change(2, now - HOUR)
            channels(self.connection(one), self.connection(two, "woo-fr"))
            with pytest.raises(ChannelUnavailable, match="answers 503"):
                pull_orders()
            ingest_orders(linger_seconds=0)
            assert orders(engine) == {"2"}

    def test_several_failures_are_all_told(self, channels):
        with open_shop() as one, open_shop() as two:
            one.answers = [BUSY]
            channels(self.connection(one), self.connection(two, "woo-fr", secret="cs_wrong"))
            with pytest.raises(UpkeepFailed) as caught:
                pull_orders()
        assert "ask woocommerce of shop: ChannelUnavailable" in str(caught.value)
        assert "ask woo-fr of shop: ChannelRefused: 127.0.0.1/wp-json/wc/v3/orders answers 401" in str(caught.value)

    def test_a_wrong_key_is_a_sentence(self, channels):
        with open_shop() as one:
            channels(self.connection(one, secret="cs_wrong"))
            with pytest.raises(ChannelRefused, match=r"the key in channels\.yaml is wrong"):
                pull_orders()
        assert "cs_wrong" not in shown.everything()


class TestWatchIntake:
    def test_when_all_is_well_it_counts_and_shows_the_sources(self, engine, channels):
        channels({"channel": "till", "adapter": "csv"})
        waiting(engine, feed.row("1"))
        ingest_orders(linger_seconds=0)
        assert watch_intake() == 2
        shown = artifacts()
        assert "All are well." in shown["intake-health"]
        assert "| ✅ | shop | csv | 0 min ago | 0 | – | 1 | 0.0% | 0 |" in shown["intake-health"]
        assert "None open." in shown["dead-letters"]

    def test_a_source_that_needs_somebody_fails_the_run(self, engine, channels):
        waiting(engine, feed.row("1"), received_at=wiring.clock() - HOUR)
        with pytest.raises(IntakeUnwell) as caught:
            watch_intake()
        assert str(caught.value) == (
            "csv of shop: records wait for 60 min: does the deployment ingest-orders run, and does it fail?"
            " – `campaigns intake health` shows all sources"
        )
        assert "**1 of 1 need somebody:**" in artifacts()["intake-health"]

    def test_the_dearest_letters_are_shown_and_no_address_is(self, engine, now):
        far = (now + 9 * DAY).isoformat()
        waiting(
            engine,
            feed.row("cheap", status="teleported", email="mara.silva@example.com"),
            feed.row("dear", status="teleported", order_total="900.00", email="mara.silva@example.com"),
            feed.row("late", placed_at=far, updated_at=far, email="mara.silva@example.com"),
            feed.row("mara.silva@example.com", status="teleported"),
        )
        feed.keep(engine, feed.Incoming(b"mara.silva@example.com", Origin.PUSH, "push", now), channel="shopify")
        ingest_orders(linger_seconds=0)
        watch_intake()
        page = artifacts()["dead-letters"]
        assert page.index("| dear |") < page.index("| cheap |")
        assert "mara.silva" not in shown.everything()

    def test_raw_records_end_after_their_time(self, engine, monkeypatch):
        monkeypatch.setenv("OMS_INTAKE_KEEP_DAYS", "3")
        settings.load.cache_clear()
        waiting(engine, feed.row("1"))
        ingest_orders(linger_seconds=0)
        watch_intake()
        assert feed.count(engine, tables.intake_records) == 1
        later = wiring.clock() + 4 * DAY
        monkeypatch.setattr(wiring, "clock", lambda: later)
        watch_intake()
        assert feed.count(engine, tables.intake_records) == 0

    def test_one_step_that_fails_does_not_hide_the_others(self, engine, monkeypatch):
        def broken(*_given: object, **_chosen: object) -> int:
            raise RuntimeError("purge")

        monkeypatch.setattr(intake.records, "purge", broken)
        waiting(engine, feed.row("1"), received_at=wiring.clock() - HOUR)
        with pytest.raises(UpkeepFailed) as caught:
            watch_intake()
        assert "remove old raw records: RuntimeError: purge" in str(caught.value)
        assert "look at the sources: IntakeUnwell" in str(caught.value)


def test_from_the_channels_own_signature_to_an_order(engine, channels, now):
    """A push through the real door, a missed one by the pull, one drain for both, and all that people see of it."""
    secret, body = pushes.WOO_SECRET, b""
    with open_shop() as shop, socket.create_server(("127.0.0.1", 0)) as listener:
        access = {"url": shop.url, "user": "ck_1", "secret": "cs_1"}
        channels({"channel": "woocommerce", "webhook_secrets": [secret], "api": access})
        body = shop.change(1, now - MINUTE)
        shop.change(2, now - 2 * MINUTE)  # its webhook never comes
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/orders/woocommerce/shop"
        with serving(create_app(settings.load()), listener):
            answer = httpx.post(url, content=body, headers=pushes.woocommerce(body, secret=secret), trust_env=False)
        assert answer.status_code == 200
        assert ingest_orders(linger_seconds=0)["loaded"] == 1
        assert pull_orders() == {"new_pages": 1}
        counts = ingest_orders(linger_seconds=0)
        assert (counts["loaded"], counts["unchanged"]) == (1, 1)
        assert watch_intake() == 1
    assert orders(engine) == {"1", "2"}
    assert not any(told in shown.everything() for told in ("jana@example.com", "Silva", secret, "cs_1"))
    with database.read(engine) as connection:
        urgencies = connection.scalars(sa.select(tables.intake_records.c.urgency).order_by(tables.intake_records.c.id))
        assert list(urgencies) == [Urgency.NOW, Urgency.BULK]
    assert json.loads(body)["id"] == 1
