"""What operators read: complete, in its cells, and without anything of a customer."""

from datetime import timedelta

from data.dead_letters import BadRow, DeadLetter, State
from data.intake.health import SourceHealth
from tasks import intake_artifacts
from tests.conftest import NOW

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def source(channel: str, *alarms: str, **facts: object) -> SourceHealth:
    told = {
        "account_id": "main",
        "channel": channel,
        "last_heard": NOW - HOUR,
        "waiting": 1204,
        "lag": 5 * HOUR,
        "orders": 20_000,
        "refused": 45,
        "open_letters": 3,
        "cursor_age": None,
        "subscription": None,
        "usual_silence": None,
        "alarms": alarms,
    }
    return SourceHealth(**(told | facts))


def letter(number: int, reason: str = "total is empty", **facts: object) -> DeadLetter:
    row = BadRow(number, reason, {"email": "jo@example.com"}, 40, "x", (), facts.pop("external_id", f"#{number}"))
    told = {"account_id": "main", "source": "shopify", "location": "push", "row": row, "state": State.OPEN}
    told |= {"created_at": NOW - 3 * DAY, "patch": (), "attempts": 0, "score": 1234}
    return DeadLetter(id=number, **(told | facts))


def table(page: str) -> list[list[str]]:
    """The cells of a page's first table, as markdown cuts them."""
    rows = [line.replace("\\|", "¦") for line in page.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


class TestHealthPage:
    def test_what_somebody_should_do_stands_above_the_figures(self):
        unwell = source(
            "shopify", "silent for 7 h", "its webhook is disabled there: switch it on", subscription="disabled"
        )
        page = intake_artifacts.health_page([unwell, source("csv")], NOW)
        assert page.index("**1 of 2 need somebody:**") < page.index("| Account |")
        assert "- **shopify** of main: silent for 7 h\n- **shopify** of main: its webhook is disabled there" in page
        assert "disabled |" in page
        rows = table(page)
        assert {len(row) for row in rows} == {11}
        assert rows[2] == [
            *("❌", "main", "shopify", "60 min ago", "1,204", "5 h", "20,000", "0.2%", "3", "–", "disabled"),
        ]
        assert rows[3][0] == "✅"

    def test_when_all_are_well_it_says_so(self):
        page = intake_artifacts.health_page([source("csv", cursor_age=HOUR, last_heard=None)], NOW)
        assert "All are well." in page
        assert table(page)[2][3] == "never"
        assert table(page)[2][9] == "60 min ago"

    def test_and_when_there_are_none(self):
        page = intake_artifacts.health_page([], NOW)
        assert "No channel is declared" in page
        assert "|" not in page


class TestLettersPage:
    TREND = [(NOW - back * DAY, 1000, 6 - back) for back in range(6, -1, -1)]

    def test_the_dearest_stand_account_by_account_with_the_trend(self):
        page = intake_artifacts.letters_page({"main": [letter(7), letter(8)], "tea": []}, self.TREND, NOW)
        assert page.index("## main") < page.index("| 7 | 1,234 | shopify | #7 | 3 days | total is empty |")
        assert page.index("## tea") < page.index("None open.") < page.index("## Refused in the last seven days")
        assert "| Sun 22 Nov | 1,000 | 6 | ████████████████████████ |" in page
        assert "| Mon 16 Nov | 1,000 | 0 |  |" in page

    def test_a_number_that_is_none_is_not_shown(self):
        for strange in ("jo@example.com", "Jo Silva", "1|2", "x" * 41, "1\n2", "", None):
            page = intake_artifacts.letters_page({"main": [letter(7, external_id=strange)]}, [], NOW)
            assert "| 7 | 1,234 | shopify | ? |" in page
        for usual in ("#1001", "3-1234567-1234567", "order_01TEST", "INV/2026.7"):
            assert f"| {usual} |" in intake_artifacts.letters_page({"main": [letter(7, external_id=usual)]}, [], NOW)

    def test_a_reason_stays_in_its_cell_and_ends_between_two_words(self):
        page = intake_artifacts.letters_page({"main": [letter(7, "this | that\nand more " + "word " * 100)]}, [], NOW)
        row = table(page)[2]
        assert len(row) == 6
        assert row[5].startswith("this ¦ that and more word")
        assert row[5].endswith("word …")
        assert len(row[5]) <= 203

    def test_nothing_of_the_record_is_in_it(self):
        assert "jo@example.com" not in intake_artifacts.letters_page({"main": [letter(7)]}, [], NOW)
