"""The examples of docs/messages-api.md, as they stand there, against the real gateway."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from domain.transactional import NEXT
from gateway.problems import KINDS
from tests.gateway.message_api import Program, new_key

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
PAGE = (Path(__file__).parents[2] / "docs" / "messages-api.md").read_text("utf-8")


def example(language: str, place: int = 0) -> str:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)[place]


@pytest.fixture
def program(gateway, engine, account_id) -> Program:
    return Program(gateway, engine, new_key(engine))


def run(command: list[str], program: Program, **more: str) -> str:
    known = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    environment = known | {"GATEWAY": str(program.client.base_url).rstrip("/"), "KEY": program.secret} | more
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_the_curl_examples_work(program):
    first = json.loads(run(["bash", "-c", example("bash")], program))
    assert run(["bash", "-c", example("bash")], program) == json.dumps(first, separators=(",", ":"))
    assert first.keys() == json.loads(example("json")).keys()
    (row,) = program.messages()
    assert (row.id, row.email, row.locale) == (first["id"], "ann@example.com", "en-GB")
    history = json.loads(run(["bash", "-c", example("bash", 1)], program, ID=first["id"]))
    assert history["state"] == "planned"


def test_the_python_example_works(program):
    told = run([sys.executable, "-c", example("python")], program).split()
    (row,) = program.messages()
    assert told == [row.id, "planned"]
    assert row.variables["order_total"] == {"amount": "77.60", "currency": "EUR"}
    assert run([sys.executable, "-c", example("python")], program).split() == told
    assert len(program.messages()) == 1


def test_the_page_tells_every_state_and_every_problem(database_url):
    assert {state for state in NEXT if f"| `{state}` |" not in PAGE} == set()
    assert {kind for kind in KINDS if f"`{kind}`" not in PAGE} == set()
