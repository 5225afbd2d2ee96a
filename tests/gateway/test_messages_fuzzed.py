"""An HTTP fuzzer from outside (schemathesis) at the real gateway: no 5xx, nothing accepted that the document forbids."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from data import content
from domain import template_fields
from domain.template_fields import Kind
from tests.gateway.message_api import Program, new_key

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
# Not positive_data_acceptance: what a day, a link or a domain is, no schema says. Nor missing_required_header: it takes
# our own Authorization for one that it left out; ignored_auth leaves it out.
CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance"),
    *("response_schema_conformance", "negative_data_rejection", "ignored_auth"),
    *("unsupported_method",),
)


# Each adds some hundred cases, so not all of them; these have fields of every kind (a test holds that).
TEMPLATES = ("password-reset", "account-changed", "order-confirmation")


def document(gateway: httpx.Client) -> dict[str, Any]:
    """The gateway's own, of these templates alone."""
    found = gateway.get("/messages/openapi.json").json()
    request = found["components"]["schemas"]["MessageRequest"]
    mapping = {name: request["discriminator"]["mapping"][name] for name in TEMPLATES}
    request["discriminator"]["mapping"] = mapping
    request["oneOf"] = [{"$ref": reference} for reference in mapping.values()]
    return found


def test_the_fuzzed_templates_have_fields_of_every_kind(database_url: str) -> None:
    allowed = [template_fields.allowed(content.load(name).purpose) for name in TEMPLATES]
    assert {one.kind for fields in allowed for one in fields.values()} == set(Kind)


@pytest.mark.slow
def test_a_fuzzer_finds_nothing(gateway, engine, account_id, tmp_path: Path) -> None:
    program = Program(gateway, engine, new_key(engine, per_minute=60_000))
    assert program.ask("known").status_code == 202
    (tmp_path / "openapi.json").write_text(json.dumps(document(gateway)))
    fuzzer = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", "openapi.json", "--url", f"{gateway.base_url}"),
            *("--header", f"Authorization: Bearer {program.secret}"),
            *("--checks", ",".join(CHECKS)),
            *("--max-examples", os.environ.get("OMS_FUZZ_EXAMPLES", "60")),
            *("--seed", "1", "--generation-deterministic", "--no-color"),
        ],
        cwd=tmp_path,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "fuzzer_hooks", "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert fuzzer.returncode == 0, fuzzer.stdout + fuzzer.stderr
    assert len(program.messages()) > 1000, "most of what is right is accepted, or the fuzzer tried nothing"
