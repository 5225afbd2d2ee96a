"""What a newcomer runs first: the whole stack in its own processes, from real orders to the last figure."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
BOUNCES = {"hard", "soft", "block"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's folder, once it has ended well. Its child processes are its own business, and ended by it."""
    home = tmp_path_factory.mktemp("demo")
    command = [str(Path(sys.executable).with_name("campaigns")), "demo"]
    # Within the 600 s of any test (pyproject.toml), after which nothing of its output would be told; it takes 130 s alone.
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=540, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "balanced, 0 sent twice, 0 missing" in done.stdout
    return home / "var" / "demo"


def test_summary_agrees_with_the_esps_own_record(demo: Path) -> None:
    summary = json.loads((demo / "summary.json").read_text())
    assert summary["orders"] == 69_659
    assert summary["customers"] == 23_570
    assert summary["audience"] >= 10_000
    assert summary["audience"] + sum(summary["skipped"].values()) == summary["members"]
    assert summary["accepted"] == summary["audience"]
    assert set(summary["bounced"]) == BOUNCES
    assert summary["delivered"] + sum(summary["bounced"].values()) + summary["dropped"] == summary["accepted"]
    assert summary["opened_human"] < summary["opened_unique"]
    assert summary["deliverability"] > 0.98
    assert summary["audit"]["balanced"]
    assert (summary["audit"]["duplicates"], summary["audit"]["missing"]) == (0, 0)
    assert summary["disagreements"] == {}
    assert summary["suppressions"] > 0


def test_schedules_start_flow_runs(demo: Path) -> None:
    """They did not with SQLAlchemy 2.1, on which the scheduler of Prefect 3.8 fails once a minute."""
    with closing(sqlite3.connect(demo / "prefect" / "prefect.db")) as connection:
        (scheduled,) = connection.execute("SELECT count(*) FROM flow_run WHERE auto_scheduled").fetchone()
    assert scheduled > 0


def test_no_address_is_in_what_people_can_open(demo: Path) -> None:
    shown = [demo / "report.html", demo / "summary.json", *(demo / "log").glob("*.log")]
    prefect = b"".join(path.read_bytes() for path in (demo / "prefect").glob("prefect.db*"))
    for text in (*(path.read_bytes() for path in shown), prefect):
        assert b"@gmail.test" not in text
        assert b"@example.com" not in text


def test_the_report_is_one_file_with_its_plots(demo: Path) -> None:
    page = (demo / "report.html").read_text()
    assert page.count("<svg") >= 2
    assert "<script" not in page
    assert 'href="http' not in page
    assert 'src="http' not in page
