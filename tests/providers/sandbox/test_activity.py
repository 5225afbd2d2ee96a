"""Email Activity: bought or not, behind or not, and SendGrid's query language as far as it goes here."""

import time

import pytest


def search(esp, query, **params):
    return esp.client.get("/v3/messages", params={"query": query, **params})


def found(esp, query, **params):
    return [one["to_email"] for one in search(esp, query, **params).raise_for_status().json()["messages"]]


@pytest.fixture
def bought(start):
    esp = start(email_activity=True)
    esp.client.put("/sandbox/faults", json={"look_ups_a_minute": None}).raise_for_status()
    return esp


def test_who_did_not_buy_it_is_refused(esp):
    assert search(esp, 'to_email="x@example.com"').status_code == 403


@pytest.mark.parametrize(
    "query",
    [
        "(unique_args['message_id']=\"run.1\")",
        'unique_args["message_id"]="run.1"',
        'to_email="p1@delivered.test"',
        '(unique_args[\'attempt_id\']="attempt-1") AND (to_email="p1@delivered.test")',
        "(unique_args['attempt_id'] = \"attempt-1\" AND unique_args['message_id'] = \"run.1\")",
    ],
)
def test_a_message_is_found(bought, campaign, query):
    bought.send(campaign(3, domain="delivered.test"))
    assert found(bought, query) == ["p1@delivered.test"]


def test_a_message_is_found_by_the_beginning_of_its_id(bought, campaign):
    reference = bought.send(campaign(2, domain="delivered.test")).headers["X-Message-Id"]
    bought.send(campaign(1, run="other"))
    (message, _) = search(bought, f'msg_id LIKE "{reference}%"').json()["messages"]
    assert message["status"] == "delivered"
    assert found(bought, f'msg_id="{message["msg_id"]}"') == [message["to_email"]]


def test_values_are_values(bought, campaign):
    bought.send(campaign(1))
    assert found(bought, "unique_args['message_id']=\"' OR '1'='1\"") == []
    assert found(bought, 'to_email="(x)"') == []


@pytest.mark.parametrize(
    "query", ["", "()", "subject=x", 'from="a"', 'to_email="a" OR to_email="b"', 'to_email="a" AND']
)
def test_what_is_no_query(bought, query):
    assert search(bought, query).status_code == 400


def test_the_limit(bought, campaign):
    bought.send(campaign(20))
    query = "unique_args['attempt_id']=\"attempt-1\""
    assert [len(found(bought, query)), len(found(bought, query, limit=15))] == [10, 15]
    assert [search(bought, query, limit=limit).status_code for limit in (0, 1001)] == [400, 400]


def test_what_has_not_gone_yet_is_not_found(bought, campaign):
    bought.send(campaign(1) | {"send_at": int(time.time()) + 3600})
    assert found(bought, "unique_args['message_id']=\"run.0\"") == []


def test_the_feed_may_be_behind(bought, campaign):
    bought.send(campaign(1))
    query = "unique_args['message_id']=\"run.0\""
    assert len(found(bought, query)) == 1
    bought.client.put("/sandbox/faults", json={"activity_behind_seconds": 60, "look_ups_a_minute": None})
    assert found(bought, query) == []


def test_six_look_ups_a_minute(start):
    esp = start(email_activity=True)
    assert [search(esp, 'to_email="x"').status_code for _ in range(7)] == [200] * 6 + [429]
