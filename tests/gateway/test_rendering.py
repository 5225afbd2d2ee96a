"""The page as a file of its own, and what its bars and numbers say."""

import re
from dataclasses import replace
from datetime import date, timedelta
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.audience import SkipReason
from domain.campaigns import Run, RunStatus
from domain.kpis import Figures
from domain.rates import Rate
from domain.reports import Audit, Moment, RunReport, Step
from gateway import figures, kpi_plots, plots, reasons, rendering, views
from tests.conftest import NOW
from tests.gateway.conftest import plan

RUN = Run(
    id="rabcdefghjkmn",
    plan=plan("shop"),
    status=RunStatus.SETTLED,
    flow_run_id=None,
    definition_hash=None,
    template_hash=None,
    feature_watermark=None,
    validation=None,
    members=100,
    planned=90,
    skipped={"holdout": 10},
    stop_reason=None,
    created_at=NOW,
    frozen_at=NOW,
    dispatch_started_at=NOW,
    dispatched_at=NOW,
    settled_at=NOW,
    expires_at=NOW,
)
TOTAL = Figures(accepted=88, delivered=80, bounced={"hard": 3, "block": 1}, opened_unique=50, opened_human=40)
REPORT = RunReport(
    run=RUN,
    account_name="The Shop",
    waterfall=(
        Step("members", "in the segment", 100),
        Step("holdout", "held out", 10),
        Step("planned", "planned", 90),
        Step("held", "possibly sent", 2),
        Step("accepted", "accepted", 88),
    ),
    total=TOTAL,
    by_mailbox_provider={"gmail": TOTAL, "other": Figures()},
    timeline=tuple(Moment(NOW + timedelta(minutes=n), delivered=n, clicked=1) for n in range(5)),
    last_accepted_at=NOW + timedelta(seconds=75),
)


def test_a_file_of_its_own_refers_to_nothing_outside():
    page = rendering.render_run(REPORT, standalone=True)
    assert 'href="/' not in page
    outside = set(re.findall(r"""(?:src|href)=["']([^"'#]+)""", page)) | set(re.findall(r"url\(([^)#]+)", page))
    assert outside <= {"data:,"}
    assert "<script" not in page


def test_losses_hang_where_the_bar_before_them_ended():
    rows = views.waterfall(REPORT.waterfall)
    assert [(row["loss"], row["left"], row["width"]) for row in rows] == [
        (False, "0", "100.000%"),
        (True, "90.000%", "10.000%"),
        (False, "0", "90.000%"),
        (True, "88.000%", "2.000%"),
        (False, "0", "88.000%"),
    ]


def test_all_who_did_not_get_it_are_explained():
    page = views.page(REPORT, None)
    assert page["missed_title"] == "Why did 20 people not get it?"  # 100 members, 80 delivered
    assert [row["count"] for row in page["missed"]] == ["10", "4", "3", "2", "1"]


@pytest.mark.parametrize("code", [*SkipReason, "suppressed", "rejected", "expired", "held", "open"])
def test_every_loss_has_a_short_name_and_a_sentence(code):
    step = Step(code, "not used", 1)
    assert reasons.is_loss(code)
    assert len(reasons.label(step)) <= 20
    ((count, sentence),) = reasons.missed(replace(REPORT, waterfall=(step,), total=Figures()))
    assert count == 1
    assert sentence != "not used"


def test_the_audit_is_shown_where_it_was_made():
    audit = Audit(100, 90, {"holdout": 10}, {"accepted": 88, "held": 2}, None, None, ("two messages are missing",))
    page = rendering.render_run(REPORT, audit=audit, standalone=True)
    assert "two messages are missing" in page
    assert "cannot be asked" in page
    assert "books balance" not in rendering.render_run(REPORT, standalone=True)


@pytest.mark.parametrize("status", RunStatus)
def test_every_state_has_words(status):
    assert views.summary(replace(RUN, status=status))["sentence"]


def test_a_finished_run_promises_no_figures_that_still_change():
    sentence = views.summary(RUN)["sentence"]
    assert "final" not in sentence
    assert "still come in" in sentence


def test_plots_are_well_formed_and_always_the_same():
    for draw in (
        lambda: plots.timeline(REPORT.timeline),
        lambda: plots.timeline(REPORT.timeline[:1]),
        lambda: plots.timeline([Moment(NOW)]),
        lambda: plots.mailbox_providers(REPORT.by_mailbox_provider),
    ):
        svg = draw()
        assert svg == draw()
        names = [element.get("id") for element in ET.fromstring(svg).iter() if element.get("id")]
        assert len(names) == len(set(names))
        assert "#010a" not in svg
        assert "<text" in svg  # letters, not shapes


def test_the_chart_of_a_first_day_is_of_that_day():
    drawn = kpi_plots.deliverability({"Gmail": {date(2026, 11, 22): Rate(98, 100), date(2026, 11, 21): Rate(0, 0)}})
    assert "2027" not in drawn
    assert "2025" not in drawn
    assert "22 Nov 2026" in drawn


def test_two_plots_on_a_page_share_no_id():
    page = rendering.render_run(REPORT, standalone=True)
    names = re.findall(r'\bid="([^"]+)"', page)
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.94, "59.9 s"), (75, "1 min 15 s"), (3599.7, "1 h 0 min"), (7300, "2 h 1 min")],
)
def test_lengths_of_time_are_written_for_people(seconds, text):
    assert figures.duration(seconds) == text


def test_what_looks_like_the_aim_is_not_warned_of():
    tones = {card["name"]: card["tone"] for card in figures.cards(Figures(accepted=10_000, delivered=9_796))}
    assert figures.percent(0.9796) == "98.0 %"
    assert tones["Delivered"] == "good"


_COUNT = st.integers(0, 50)


@given(
    st.builds(Figures, accepted=_COUNT, delivered=_COUNT, complained=_COUNT, opened_human=_COUNT, unsubscribed=_COUNT)
)
def test_any_figures_make_a_page(total):
    """Events may outrun the ledger: delivered above accepted is seen for a moment, and must not break the page."""
    report = replace(REPORT, total=total, by_mailbox_provider={}, timeline=())
    assert "</html>" in rendering.render_run(report, standalone=False)
