"""A campaign host that outlives whoever calls it: its lists, segments and campaigns are rows of a SQLite file of its own.

It is strict where hosts are: a campaign can be sent once, only a draft can be scheduled, only a scheduled one called back.
What goes out is written down a row a mail, with nothing that would hide a second one. `struck` is told before each call is
heard and after its effect stands, so that a process can die there.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from domain.campaign_host import HostedCampaign, HostRefuses, HostStatus, HostUnavailable, Member, MemberRefusal
from domain.delivery import BounceClass, DeliveryEvent, EventKind
from domain.ledger import Outcome, OutcomeKind
from domain.suppression import Reason

_TABLES = """
CREATE TABLE IF NOT EXISTS fields (key TEXT, name TEXT, PRIMARY KEY (key, name));
CREATE TABLE IF NOT EXISTS people (address TEXT PRIMARY KEY, complaint INTEGER DEFAULT 0);
CREATE TABLE IF NOT EXISTS segment (key TEXT, address TEXT, message_id TEXT, vals TEXT, PRIMARY KEY (key, address));
CREATE TABLE IF NOT EXISTS campaigns (
    id INTEGER PRIMARY KEY, key TEXT, title TEXT, html TEXT, status TEXT, at REAL, deleted INTEGER DEFAULT 0);
CREATE TABLE IF NOT EXISTS sends (campaign INTEGER);
CREATE TABLE IF NOT EXISTS mails (campaign INTEGER, address TEXT, message_id TEXT, at REAL);
CREATE TABLE IF NOT EXISTS late (campaign INTEGER, at REAL, heard REAL);
CREATE TABLE IF NOT EXISTS calls (name TEXT, size INTEGER);
"""
_SENDING_SECONDS = 60


def _nobody(_: str) -> None:
    return None


@dataclass
class StoredHost:
    """The port over that file. `fate`: by the name of a call what is to happen to the next ones, in their order.

    lost: it never came there. cut: it did, and the answer did not come back. late (of schedule): it comes there a minute
    later, when the caller has given up. refused: the host will not.
    """

    path: Path
    clock: Callable[[], datetime]
    struck: Callable[[str], None] = _nobody
    fate: dict[str, list[str]] = field(default_factory=dict)
    checklist: list[str] = field(default_factory=list)
    members_at_once: int = 5
    every: timedelta = timedelta(minutes=1)  # at such times of the hour it lets mail go
    troubles: bool = True  # whether some of those whom it mails bounce or complain

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=30)) as store:
            store.row_factory = sqlite3.Row
            store.executescript(_TABLES)
            with store:
                store.execute("BEGIN IMMEDIATE")
                self._pass_time(store)
                yield store

    def _pass_time(self, store: sqlite3.Connection) -> None:
        now = self.clock().timestamp()
        for row in store.execute("SELECT rowid, * FROM late WHERE heard <= ?", (now,)).fetchall():
            store.execute("DELETE FROM late WHERE rowid = ?", (row["rowid"],))
            self._schedule(store, row["campaign"], row["at"])
        due = "SELECT * FROM campaigns WHERE status = 'scheduled' AND at <= ? AND NOT deleted"
        for row in store.execute(due, (now,)).fetchall():
            store.execute("UPDATE campaigns SET status = 'sending' WHERE id = ?", (row["id"],))
            store.execute("INSERT INTO sends VALUES (?)", (row["id"],))
            mailed = "INSERT INTO mails SELECT ?, address, message_id, ? FROM segment WHERE key = ?"
            store.execute(mailed, (row["id"], row["at"], row["key"]))
        done = "UPDATE campaigns SET status = 'sent' WHERE status = 'sending' AND at + ? <= ?"
        store.execute(done, (_SENDING_SECONDS, now))

    def _schedule(self, store: sqlite3.Connection, campaign: str | int, at: float) -> bool:
        mine = "UPDATE campaigns SET status = 'scheduled', at = ? WHERE id = ? AND status = 'draft' AND NOT deleted"
        return store.execute(mine, (at, campaign)).rowcount == 1

    @contextmanager
    def _call(self, name: str, size: int = 0) -> Iterator[sqlite3.Connection]:
        self.struck(f"before {name}")
        fault = self._fault(name)
        if fault == "lost":
            raise HostUnavailable(f"{name}: no answer")
        if fault == "refused":
            raise HostRefuses(f"{name}: the list is locked")
        with self._open() as store:
            store.execute("INSERT INTO calls VALUES (?, ?)", (name, size))
            yield store
        self.struck(f"after {name}")
        if fault == "cut":
            raise HostUnavailable(f"{name}: the answer was cut")

    def _fault(self, name: str) -> str:
        return self.fate[name].pop(0) if self.fate.get(name) else ""

    # --- the port --------------------------------------------------------------------------------------------------

    def prepare(self, key: str, variables: Sequence[str]) -> None:
        with self._call("prepare") as store:
            store.executemany("INSERT OR IGNORE INTO fields VALUES (?, ?)", [(key, name) for name in variables])

    def put_members(self, key: str, members: Sequence[Member]) -> Sequence[MemberRefusal]:
        assert len(members) <= self.members_at_once
        refusals = []
        with self._call("put_members", len(members)) as store:
            known = {row["name"] for row in store.execute("SELECT name FROM fields WHERE key = ?", (key,))}
            for one in members:
                assert set(one.values) <= known, "a member with a value that no field was made for"
                store.execute("INSERT OR IGNORE INTO people (address) VALUES (?)", (one.address,))
                who = "SELECT complaint FROM people WHERE address = ?"
                if store.execute(who, (one.address,)).fetchone()["complaint"]:
                    refusals.append(MemberRefusal(one.message_id, "Member In Compliance State", Reason.COMPLAINT))
                    continue
                row = (key, one.address, one.message_id, json.dumps(dict(one.values)))
                store.execute("INSERT OR REPLACE INTO segment VALUES (?, ?, ?, ?)", row)
        return refusals

    def leave_out(self, key: str, addresses: Sequence[str]) -> None:
        assert len(addresses) <= self.members_at_once
        with self._call("leave_out", len(addresses)) as store:
            store.executemany("DELETE FROM segment WHERE key = ? AND address = ?", [(key, one) for one in addresses])

    def members(self, key: str) -> int:
        with self._call("members") as store:
            return int(store.execute("SELECT count(*) FROM segment WHERE key = ?", (key,)).fetchone()[0])

    def campaign(self, campaign: HostedCampaign) -> str:
        with self._call("campaign") as store:
            mine = "SELECT id FROM campaigns WHERE key = ? AND NOT deleted ORDER BY id LIMIT 1"
            key = self.key_of(campaign)
            found = store.execute(mine, (key,)).fetchone()
            if found is not None:
                return str(found["id"])
            made = "INSERT INTO campaigns (key, title, status) VALUES (?, ?, 'draft')"
            return str(store.execute(made, (key, campaign.title)).lastrowid)

    def key_of(self, campaign: HostedCampaign) -> str:
        """By what a campaign is found again."""
        return campaign.key

    def fill(self, campaign_id: str, campaign: HostedCampaign) -> None:
        with self._call("fill") as store:
            filled = "UPDATE campaigns SET html = ? WHERE id = ? AND status = 'draft'"
            if store.execute(filled, (campaign.content.html, campaign_id)).rowcount != 1:
                raise HostRefuses("only a draft can be edited")

    def faults(self, campaign_id: str) -> Sequence[str]:
        with self._call("faults"):
            return list(self.checklist)

    def test(self, campaign_id: str, addresses: Sequence[str]) -> None:
        with self._call("test", len(addresses)):
            pass

    def goes_at(self, at: datetime) -> datetime:
        hour = max(at, self.clock()).replace(minute=0, second=0, microsecond=0)
        return hour - (hour - max(at, self.clock())) // self.every * self.every

    def schedule(self, campaign_id: str, at: datetime) -> Outcome:
        fault = (self.fate.get("schedule") or [""])[0]
        at = self.goes_at(at)
        try:
            with self._call("schedule") as store:
                row = store.execute("SELECT html FROM campaigns WHERE id = ?", (campaign_id,)).fetchone()
                assert row["html"], "a campaign without content was scheduled"
                if fault == "late":
                    heard = (self.clock() + timedelta(minutes=3)).timestamp()
                    store.execute("INSERT INTO late VALUES (?, ?, ?)", (campaign_id, at.timestamp(), heard))
                    return Outcome(OutcomeKind.UNKNOWN, detail="read time-out")
                if not self._schedule(store, campaign_id, at.timestamp()):
                    return Outcome(OutcomeKind.REJECTED, detail="it is no draft", status=400)
        except HostRefuses as error:
            return Outcome(OutcomeKind.REJECTED, detail=str(error), status=400)
        except HostUnavailable as error:
            return Outcome(OutcomeKind.UNKNOWN, detail=str(error))
        return Outcome(OutcomeKind.ACCEPTED, status=204, provider_reference=campaign_id)

    def unschedule(self, campaign_id: str) -> None:
        with self._call("unschedule") as store:
            back = "UPDATE campaigns SET status = 'draft', at = NULL WHERE id = ? AND status = 'scheduled'"
            if store.execute(back, (campaign_id,)).rowcount != 1:
                raise HostRefuses("it is not scheduled")

    def discard(self, campaign_id: str) -> None:
        with self._call("discard") as store:
            row = store.execute("SELECT status FROM campaigns WHERE id = ?", (campaign_id,)).fetchone()
            if row["status"] != "draft":
                raise HostRefuses("it is no draft")
            store.execute("UPDATE campaigns SET deleted = 1 WHERE id = ?", (campaign_id,))

    def status(self, campaign_id: str) -> HostStatus:
        with self._call("status") as store:
            row = store.execute("SELECT * FROM campaigns WHERE id = ?", (campaign_id,)).fetchone()
            return HostStatus.GONE if row is None or row["deleted"] else HostStatus(row["status"])

    def clear(self, key: str) -> None:
        with self._call("clear") as store:
            store.execute("DELETE FROM segment WHERE key = ?", (key,))
            store.execute("DELETE FROM fields WHERE key = ?", (key,))

    def events(self, campaign_id: str, *, since: datetime | None) -> Iterable[DeliveryEvent]:
        with self._call("events") as store:
            rows = store.execute("SELECT * FROM mails WHERE campaign = ? ORDER BY address", (campaign_id,)).fetchall()
        for place, row in enumerate(rows):
            at = datetime.fromtimestamp(row["at"], self.clock().tzinfo) + timedelta(seconds=place)
            if since is None or at >= since:
                yield _event(place if self.troubles else 0, campaign_id, row["address"], at)

    def close(self) -> None:
        pass

    # --- what the tests ask ----------------------------------------------------------------------------------------

    def asked(self, query: str, *given: object) -> list[tuple[object, ...]]:
        with self._open() as store:
            return [tuple(row) for row in store.execute(query, given)]

    def mailed(self) -> list[str]:
        """A row a mail."""
        return [str(row[0]) for row in self.asked("SELECT address FROM mails ORDER BY address")]

    def told(self, statement: str, *given: object) -> None:
        """Somebody at the host does something."""
        with self._open() as store:
            store.execute(statement, given)


def _event(place: int, campaign_id: str, address: str, at: datetime) -> DeliveryEvent:
    """One in ten bounces, one in ten complains, the others got it."""
    told = {"provider": "stored", "address": address, "provider_message_id": campaign_id, "occurred_at": at}
    if place % 10 == 3:
        hard = Reason.HARD_BOUNCE.value
        return DeliveryEvent(**told, kind=EventKind.BOUNCED, bounce_class=BounceClass.HARD, suppresses=hard)
    if place % 10 == 7:
        return DeliveryEvent(**told, kind=EventKind.COMPLAINED, suppresses=Reason.COMPLAINT.value)
    return DeliveryEvent(**told, kind=EventKind.DELIVERED)
