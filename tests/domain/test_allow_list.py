"""Outside production nobody but our own people can be mailed, whatever the batch says."""

import string
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import allow_list, ports
from domain.allow_list import AllowList, InvalidEntry
from domain.campaign_host import HostedCampaign, HostRefuses, Member, MemberRefusal
from domain.ledger import Outcome, OutcomeKind
from tests.providers.contract import a_batch

ALLOWED = AllowList(("qa@shop.example.com", " @staff.example.com ", "Box.One@Gmail.com"))


@dataclass
class Wire:
    """Notes who was handed over."""

    answer: Outcome = field(default_factory=lambda: Outcome(OutcomeKind.ACCEPTED))
    sent: list[ports.Batch] = field(default_factory=list)
    closed: bool = False
    capabilities = ports.Capabilities(1000, 8, variables_per_recipient=True, events=True)

    def send(self, batch: ports.Batch) -> Outcome:
        self.sent.append(batch)
        return self.answer

    def close(self) -> None:
        self.closed = True


def _guarded(wire: Wire, environment: str = "staging", *, rehearsal: bool = False) -> ports.Mailer:
    return allow_list.guarded(wire, ALLOWED, environment, rehearsal=rehearsal)


def _to(*addresses: str) -> ports.Batch:
    batch = a_batch(len(addresses))
    return replace(batch, addresses=addresses)


@pytest.mark.parametrize(
    ("address", "internal"),
    [
        ("qa@shop.example.com", True),
        ("QA@Shop.Example.COM", True),
        ("anybody@staff.example.com", True),
        ("boxone+test@gmail.com", True),  # the same mailbox
        ("other@shop.example.com", False),
        ("qa@shop.example.com.evil.example", False),
        ("qa@sub.staff.example.com", False),
        ("victim@evil.example@staff.example.com", False),
        ("victim@evil.example,qa@shop.example.com", False),
        ("qa@shop.example.com\r\nBcc: victim@evil.example", False),
        ("qa@shop.example.com ,victim", False),
        ("@staff.example.com", False),
        ("", False),
    ],
)
def test_who_is_internal(address: str, *, internal: bool) -> None:
    assert ALLOWED.allows(address) is internal


def test_nobody_is_internal_unless_named_and_what_is_no_entry_is_refused_unquoted() -> None:
    assert not AllowList().allows("qa@shop.example.com")
    for wrong in ("example.com", "@", "@*", "*@example.com x", ""):
        with pytest.raises(InvalidEntry) as told:
            AllowList((wrong,))
        assert "example.com" not in str(told.value)
    assert ALLOWED.mailboxes == ("qa@shop.example.com", "Box.One@Gmail.com")


def test_production_and_rehearsals_are_left_alone() -> None:
    wire = Wire()
    assert _guarded(wire, "production") is wire
    assert _guarded(wire, "staging", rehearsal=True) is wire
    assert _guarded(wire, "production-copy") is not wire


def test_a_customer_is_refused_before_any_connection() -> None:
    wire = Wire()
    outcome = _guarded(wire).send(_to("jane@customers.example.com"))
    assert (outcome.kind, outcome.local, outcome.exceptions, wire.sent) == (OutcomeKind.REJECTED, True, {}, [])
    assert "OMS_PREFLIGHT_MAILBOXES" in outcome.detail
    assert "jane" not in outcome.detail


def test_of_a_mixed_batch_nothing_goes_and_the_internal_ones_may_go_alone() -> None:
    wire = Wire()
    outcome = _guarded(wire).send(_to("a@x.example", "b@staff.example.com", "c@x.example", "qa@shop.example.com"))
    assert wire.sent == []
    assert {one: (what.kind, what.forbidden) for one, what in outcome.exceptions.items()} == {
        "run1.0": (OutcomeKind.REJECTED, True),
        "run1.1": (OutcomeKind.NOT_SENT, False),
        "run1.2": (OutcomeKind.REJECTED, True),
        "run1.3": (OutcomeKind.NOT_SENT, False),
    }


def test_a_batch_of_internal_people_goes_as_it_is() -> None:
    wire, batch = Wire(), _to("qa@shop.example.com", "b@staff.example.com")
    mailer = _guarded(wire)
    assert mailer.send(batch) is wire.answer
    assert wire.sent == [batch]
    assert mailer.capabilities is wire.capabilities
    mailer.close()
    assert wire.closed


_LOCALS = st.text(string.ascii_letters + string.digits + '+.-_"<>, @\r\n%\\', max_size=12)
_DOMAINS = st.sampled_from(["staff.example.com", "shop.example.com", "evil.example", "Staff.Example.com.", "gmail.com"])


@given(st.lists(st.builds("{}@{}".format, _LOCALS, _DOMAINS), min_size=1, max_size=6))
def test_whatever_the_batch_holds_only_internal_addresses_reach_the_wire(found: list[str]) -> None:
    wire = Wire()
    outcome = _guarded(wire).send(_to(*found))
    told = [address for batch in wire.sent for address in batch.addresses]
    assert all(ALLOWED.allows(one) and one.count("@") == 1 for one in told)
    assert bool(told) == all(ALLOWED.allows(one) for one in found)
    assert told or outcome.kind is not OutcomeKind.ACCEPTED


@dataclass
class Host:
    """A host that notes what it is told."""

    told: list[Any] = field(default_factory=list)
    members_at_once = 500

    def __getattr__(self, name: str) -> Any:
        def called(*arguments: Any, **named: Any) -> Any:
            self.told.append((name, *arguments, *named.values()))
            return [MemberRefusal("m9", "left")] if name == "put_members" else name

        return called


def test_a_host_is_told_of_internal_members_only() -> None:
    host = Host()
    guard = allow_list.guarded_host(host, ALLOWED, "staging", rehearsal=False)
    members = [Member("m1", "jane@customers.example.com", {}), Member("m2", "qa@shop.example.com", {})]
    refused = guard.put_members("run1", members)
    assert host.told == [("put_members", "run1", [members[1]])]
    assert [one.message_id for one in refused] == ["m1", "m9"]
    assert [one.message_id for one in guard.put_members("run1", members[:1])] == ["m1"]
    assert len(host.told) == 1
    with pytest.raises(HostRefuses):
        guard.test("c1", ["qa@shop.example.com", "jane@customers.example.com"])
    assert len(host.told) == 1
    guard.test("c1", ["qa@shop.example.com"])
    assert host.told[-1] == ("test", "c1", ["qa@shop.example.com"])
    assert allow_list.guarded_host(host, ALLOWED, "production", rehearsal=False) is host


def test_all_else_of_a_host_passes_through() -> None:
    host = Host()
    guard = allow_list.guarded_host(host, ALLOWED, "staging", rehearsal=False)
    now: Any = datetime(2026, 11, 23).astimezone()
    campaign: Any = HostedCampaign
    calls: Sequence[tuple[str, tuple[Any, ...]]] = [
        ("prepare", ("k", ["first_name"])),
        ("leave_out", ("k", ["a@x.example"])),
        ("members", ("k",)),
        ("campaign", (campaign,)),
        ("fill", ("c", campaign)),
        ("faults", ("c",)),
        ("schedule", ("c", now)),
        ("unschedule", ("c",)),
        ("discard", ("c",)),
        ("status", ("c",)),
        ("clear", ("k",)),
        ("close", ()),
    ]
    for name, arguments in calls:
        getattr(guard, name)(*arguments)
        assert host.told[-1] == (name, *arguments)
    guard.events("c", since=now)
    assert host.told[-1] == ("events", "c", now)
    assert guard.members_at_once == 500
