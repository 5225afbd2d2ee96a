"""The demo's two edges: what it answers to a program, and what it says without its data set. It is not run here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli import demo, output
from tests.cli.conftest import Campaigns

ROOT = Path(__file__).parent.parent.parent


def test_figures_come_to_standard_output_and_the_story_to_standard_error(
    campaigns: Campaigns, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def story() -> int:
        demo.say("Starting")
        (tmp_path / "summary.json").write_text('{"accepted": 1}\n')
        return 1

    monkeypatch.setattr(demo, "HOME", tmp_path)
    monkeypatch.setattr(demo, "run", story)
    monkeypatch.setattr(output.console, "stderr", False)
    told = campaigns("demo", "--json")
    assert (told.status, told.json, told.err) == (1, {"accepted": 1}, "· Starting\n")
    assert campaigns("demo").out == "· Starting\n"


def test_without_the_data_set_nothing_is_started(tmp_path: Path) -> None:
    code = (
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'lifetimes' else find(name, *rest)\n"
        "from cli import main\n"
        "sys.exit(main.run(['demo']))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "the package 'lifetimes', which is not installed: run `make demo`" in line
    assert not (tmp_path / "var/demo/log").exists()
