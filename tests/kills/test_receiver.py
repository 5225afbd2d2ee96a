"""The gateway that stores and applies, killed at each point of a body's way: nothing that had its 2xx is lost."""

import base64
import json
import time

import httpx
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from data import database, tables
from tests.data import ledger_rows
from tests.kills import points, processes
from tests.kills.points import BY_CODE, Arm
from tests.kills.processes import Installation

pytestmark = pytest.mark.slow

_BODIES = 6
_PATIENCE_SECONDS = 60.0
_POST_SECONDS = 2.0  # the door outlives its gateway: who knocks at a dead one waits
_KEY = ec.generate_private_key(ec.SECP256R1())
_WAYS: dict[str, Arm | None] = {
    "C11": BY_CODE["C11"].arm,
    "C12": BY_CODE["C12"].arm,
    "C13": BY_CODE["C13"].arm,
    "in mid-apply": points.before_statement("data.deliveries:join"),
    "before what is applied is committed": points.before_commit("data.events:_next"),
    "after it": points.after_commit("data.events:_next"),
}


def headers(body: bytes) -> dict[str, str]:
    given = _KEY.sign(b"1795338000" + body, ec.ECDSA(hashes.SHA256()))
    return {
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(given).decode(),
        "X-Twilio-Email-Event-Webhook-Timestamp": "1795338000",
    }


def complaint(number: int) -> bytes:
    facts = {"event": "spamreport", "timestamp": 1795338000 + number, "email": ledger_rows.address(number)}
    return json.dumps([facts]).encode()


@pytest.fixture
def receiver(installation: Installation) -> Installation:
    """A gateway that knows our key beside the ESP's, and applies what it stores."""
    der = _KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    installation.public_key = base64.b64encode(der).decode()
    installation.applies = True
    installation.end(installation.gateway)
    with database.write(installation.engine) as connection:
        ledger_rows.add_account(connection, "complainers")
        parties = ledger_rows.add_parties(connection, "complainers", _BODIES * len(_WAYS) * 2)
        # It mails by this ESP, so what is said there of its customers concerns it.
        ledger_rows.add_run(connection, "complainers", parties[:1], [ledger_rows.BatchRow(0, 0, attempt="complainers")])
    return installation


def post(receiver: Installation, body: bytes) -> bool:
    """Whether it had its 2xx. A gateway that died meanwhile is opened anew, as a supervisor does."""
    port = receiver.gateway_door.getsockname()[1]
    url = f"http://127.0.0.1:{port}/webhooks/sendgrid"
    try:
        answer = httpx.post(url, content=body, headers=headers(body), timeout=_POST_SECONDS, trust_env=False)
    except httpx.HTTPError:
        return False
    return answer.is_success


def test_nothing_that_had_its_2xx_is_lost(receiver: Installation) -> None:
    number, kills = 0, 0
    for name, arm in _WAYS.items():
        assert arm is not None
        for hit in (1, 3):
            receiver.open_gateway(lambda hooks, arm=arm, hit=hit: points.strike(hooks, arm, hit))
            kills += _awaited(receiver)
            for body in map(complaint, range(number, number + _BODIES)):
                while not post(receiver, body):
                    kills += _reopened(receiver)
            number += _BODIES
            kills += _settled(receiver, number)
            kills += _ended(receiver)
        assert kills >= 1, f"nobody died {name}"
    assert kills >= len(_WAYS)


def _awaited(receiver: Installation) -> int:
    """1 where the gateway was killed before it answered: events of rounds before are tried again as it starts."""
    try:
        receiver.await_gateway()
    except httpx.HTTPError:
        return _reopened(receiver)
    return 0


def _reopened(receiver: Installation) -> int:
    """1 where the gateway was killed, and is open again now."""
    if not receiver.gateway_died():
        return 0  # it was slow: the same body comes again, and is known
    receiver.open_gateway()
    receiver.await_gateway()
    return 1


def _settled(receiver: Installation, expected: int) -> int:
    """Wait until each complaint suppresses somebody; 1 where the gateway died meanwhile.

    A gateway that died after its 2xx leaves bodies: the next post wakes the next gateway, and else the flow comes.
    """
    died = 0
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while _suppressed(receiver.engine) < expected:
        if not died and receiver.gateway_died():
            died = 1
            child = receiver.start(processes.ingest)
            assert receiver.ended(child)
            receiver.open_gateway()
        assert time.monotonic() < deadline, "something with a 2xx was never applied"
        time.sleep(0.02)
    return died


def _ended(receiver: Installation) -> int:
    """1 where the gateway was dead already."""
    if receiver.gateway_died():
        return 1
    receiver.end(receiver.gateway)
    return 0


def _suppressed(engine: sa.Engine) -> int:
    which = tables.suppressions.c.account_id == "complainers"
    with database.read(engine) as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(tables.suppressions).where(which)).scalar_one()
