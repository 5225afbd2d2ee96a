"""Killed at any point of a load and loaded again: nothing is lost, nothing is there twice.

The harness is benchmarks/intake_kills.py, which does the same many times over; here it gets a handful of kills, each in
another part of the load.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
KILLS = 6


def _killed(url: str, *options: str) -> tuple[int, dict[str, int], str]:
    """Exit status, the figures of the table, and all that was printed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMS_", "PREFECT_"))}
    arguments = (str(KILLS), "--url", url, "--orders", "400", "--seed", "3", *options)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.intake_kills", *arguments],
        cwd=ROOT,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    head, figures, *_ = done.stdout.splitlines() or ["", ""]
    return (
        done.returncode,
        dict(zip(head.split(), map(int, figures.split()[1:]), strict=True)),
        done.stdout + done.stderr,
    )


def test_a_load_that_is_killed_again_and_again_ends_as_one_that_nobody_disturbed(database_url: str) -> None:
    status, figures, told = _killed(database_url)
    assert (status, figures["kills"], figures["lost"], figures["twice"], figures["wrong"]) == (0, KILLS, 0, 0, 0), told
    struck = {name: int(count) for count, name in re.findall(r"(\d+) killed: (.*)", told)}
    assert struck["orders stored in part"] > 0, told
    assert "had ended" not in struck or struck["had ended"] <= KILLS // 2, told


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_program_that_ends_records_before_their_orders_are_stored_is_caught(database_url: str) -> None:
    status, figures, told = _killed(database_url, "--broken")
    assert status == 1, told
    assert figures["lost"] > 0, told
