"""A first start's secrets; the demo's two edges: what it answers to a program, and without its data set. It is not run here."""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from dotenv import dotenv_values

from cli import demo, operate, output, services
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


@pytest.mark.parametrize("before", [None, "OMS_GATEWAY_PORT=8310\n", "OMS_PRIVACY_PEPPER=\nOMS_PRIVACY_LINK_KEY=\n"])
def test_a_first_start_writes_the_secrets_that_env_lacks_and_keeps_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    _no_settings(tmp_path, monkeypatch)
    if before is not None:
        Path(".env").write_text(before)
    operate._first_start()
    found = dotenv_values(".env")
    assert len({found["OMS_PRIVACY_PEPPER"], found["OMS_PRIVACY_LINK_KEY"]}) == 2
    assert min(len(found[name] or "") for name in ("OMS_PRIVACY_PEPPER", "OMS_PRIVACY_LINK_KEY")) >= 32
    assert found.get("OMS_GATEWAY_PORT") == ("8310" if before and "8310" in before else None)
    assert Path(".env").stat().st_mode & 0o077 == 0 or before is not None
    written = Path(".env").read_text()
    operate._first_start()
    assert Path(".env").read_text() == written


@pytest.mark.parametrize("url", [None, "postgresql+psycopg://localhost/shop"])
def test_where_there_may_be_a_database_no_new_pepper_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str | None
) -> None:
    _no_settings(tmp_path, monkeypatch)
    if url is None:
        Path("var").mkdir()
        Path("var/oms.db").touch()
    else:
        monkeypatch.setenv("OMS_DATABASE_URL", url)
    with pytest.raises(output.Mistake, match="OMS_PRIVACY_PEPPER and OMS_PRIVACY_LINK_KEY must be set"):
        operate._first_start()
    assert not Path(".env").exists()


def _no_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for name in [one for one in os.environ if one.startswith("OMS_")]:
        monkeypatch.delenv(name)


def test_a_service_that_dies_is_started_again_and_told_of(tmp_path: Path) -> None:
    asleep = services.Service("sleeper", (sys.executable, "-c", "import time; time.sleep(60)"), None)
    with ExitStack() as stack:
        running = services.Running({}, tmp_path, stack)
        running.start(asleep)
        assert list(running.mend()) == []
        before = running.pids["sleeper"]
        os.kill(before, signal.SIGKILL)
        running.children["sleeper"][1].wait(10)
        (told,) = running.mend()
        assert told.startswith("sleeper ended (status -9;")
        assert told.endswith("and was started again")
        assert running.pids["sleeper"] != before
