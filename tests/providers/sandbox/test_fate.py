"""What becomes of a message: by domain, by seed, and at the rates of a healthy shop."""

import pytest

from providers.sandbox import fate
from providers.sandbox.fate import End, Kind


def kinds(domain, *, suppressed=False, key="run.0"):
    story = fate.of(seed=1, key=key, address=f"a@{domain}", suppressed=suppressed)
    return story.end, [step.kind.value for step in story.steps]


@pytest.mark.parametrize(
    ("domain", "end", "events"),
    [
        ("delivered.test", End.DELIVERED, ["processed", "delivered"]),
        ("hard.test", End.HARD, ["processed", "bounce"]),
        ("soft.test", End.SOFT, ["processed", "bounce"]),
        ("block.test", End.BLOCK, ["processed", "bounce"]),
        ("invalid.test", End.INVALID, ["dropped"]),
        ("silent.test", End.SILENT, []),
        ("deferred.test", End.DELIVERED, ["processed", "deferred", "delivered"]),
        ("machine.test", End.DELIVERED, ["processed", "delivered", "machine_open"]),
        ("open.test", End.DELIVERED, ["processed", "delivered", "open"]),
        ("click.test", End.DELIVERED, ["processed", "delivered", "open", "click"]),
        ("complaint.test", End.DELIVERED, ["processed", "delivered", "spamreport"]),
        ("unsubscribe.test", End.DELIVERED, ["processed", "delivered", "unsubscribe"]),
        ("HARD.Test", End.HARD, ["processed", "bounce"]),
    ],
)
def test_a_domain_decides(domain, end, events):
    assert kinds(domain) == (end, events)


def test_every_domain_is_in_the_table_above():
    assert len(fate.BY_DOMAIN) == 12


def test_a_suppressed_address_is_dropped_whatever_its_domain():
    assert kinds("delivered.test", suppressed=True) == (End.DROPPED, ["dropped"])


def test_the_same_seed_and_message_meet_the_same_fate():
    def story(seed, key):
        return fate.of(seed=seed, key=key, address="a@example.com", suppressed=False)

    assert story(1, "run.1") == story(1, "run.1")
    assert [story(1, f"run.{n}") for n in range(50)] != [story(2, f"run.{n}") for n in range(50)]


def test_rates_of_a_healthy_shop():
    total = 40_000
    ends = dict.fromkeys(End, 0)
    seen = dict.fromkeys(Kind, 0)
    repeats = 0
    for number in range(total):
        story = fate.of(seed=1, key=f"run.{number}", address="a@example.com", suppressed=False)
        ends[story.end] += 1
        for kind in {step.kind for step in story.steps}:
            seen[kind] += 1
        repeats += sum(step.repeat != fate.NONE for step in story.steps)
    share = {name: count / total for name, count in (ends | seen).items()}
    assert share[End.HARD] == pytest.approx(0.004, abs=0.0015)
    assert share[End.SOFT] == pytest.approx(0.003, abs=0.0015)
    assert share[End.BLOCK] == pytest.approx(0.002, abs=0.001)
    assert share[Kind.DEFERRED] == pytest.approx(0.03, abs=0.005)
    assert share[Kind.MACHINE_OPEN] == pytest.approx(0.25, abs=0.01)
    assert share[Kind.OPEN] == pytest.approx(0.22, abs=0.01)
    assert share[Kind.CLICK] == pytest.approx(0.03, abs=0.005)
    assert share[Kind.UNSUBSCRIBE] == pytest.approx(0.003, abs=0.0015)
    assert share[Kind.SPAM_REPORT] == pytest.approx(0.0005, abs=0.0005)
    assert repeats / sum(seen.values()) == pytest.approx(0.03, abs=0.005)


def drawn(domain):
    return [fate.of(seed=1, key=f"run.{number}", address=f"a@{domain}", suppressed=False) for number in range(2000)]


@pytest.mark.parametrize(
    "domain",
    [
        "example.com",
        "example.net",
        "example.org",
        "shop.EXAMPLE.com",
        "gmail.test",
        "a.b.test",
        "x.example",
        "x.invalid",
        "test",
    ],
)
def test_only_where_nobody_can_live_mail_fails_and_people_leave(domain):
    stories = drawn(domain)
    assert {End.HARD, End.SOFT, End.BLOCK} <= {story.end for story in stories}
    assert any(step.kind is Kind.UNSUBSCRIBE for story in stories for step in story.steps)


@pytest.mark.parametrize(
    "domain",
    [
        *("gmail.com", "shop.de", "latest", "mytest.com", "myexample.com", "test.com", "hard.test.com", ""),
        *("example.com.au", "example.de", "invalid.org", "x.example.com.", "test.example.co", "exampleXcom"),
    ],
)
def test_a_real_customer_is_mailed_and_nothing_worse(domain):
    stories = drawn(domain)
    assert {story.end for story in stories} == {End.DELIVERED}
    seen = {step.kind for story in stories for step in story.steps}
    assert seen == {Kind.PROCESSED, Kind.DEFERRED, Kind.DELIVERED, Kind.MACHINE_OPEN, Kind.OPEN, Kind.CLICK}


def test_events_happen_in_order_and_are_reported_later():
    for number in range(500):
        steps = fate.of(seed=1, key=f"run.{number}", address="a@click.test", suppressed=False).steps
        assert [step.at for step in steps] == sorted(step.at for step in steps)
        assert all(step.reported_at >= step.at for step in steps)


def test_reports_overtake_one_another():
    stories = [fate.of(seed=1, key=f"run.{n}", address="a@click.test", suppressed=False).steps for n in range(200)]
    reports = [[step.reported_at for step in steps] for steps in stories]
    assert any(times != sorted(times) for times in reports)
