"""The sandbox's statistics by day and category, its stories of messages, and webhooks that are lost."""

import json
from datetime import UTC, datetime, timedelta

import pytest


def today():
    return datetime.now(UTC).date()


def stats(esp, path="/v3/stats", **params):
    answer = esp.client.get(path, params={"start_date": today().isoformat(), "aggregated_by": "day", **params})
    return answer.raise_for_status().json()


def test_the_day_of_the_account(esp, mail, personalization):
    for number, domain in enumerate(
        ("click", "hard", "soft", "block", "invalid", "complaint", "unsubscribe", "machine")
    ):
        esp.send(mail(personalization(f"p@{domain}.test", f"run.{number}")))
    (day,) = stats(esp)
    metrics = day["stats"][0]["metrics"]
    assert day["date"] == today().isoformat()
    assert {name: count for name, count in metrics.items() if count} == {
        "requests": 8,
        "processed": 7,
        "delivered": 4,
        "bounces": 1,
        "blocks": 2,
        "invalid_emails": 1,
        "opens": 2,
        "unique_opens": 2,
        "clicks": 1,
        "unique_clicks": 1,
        "spam_reports": 1,
        "unsubscribes": 1,
    }


def test_by_category(esp, campaign, mail, personalization):
    esp.send(campaign(200, domain="delivered.test"))
    esp.send(mail(personalization("a@delivered.test")))
    (day,) = stats(esp, "/v3/categories/stats", categories=["spring", "nobody's"])
    found = {one["name"]: one["metrics"]["delivered"] for one in day["stats"]}
    assert found == {"spring": 200, "nobody's": 0}
    assert stats(esp)[0]["stats"][0]["metrics"]["delivered"] == 201
    many = [str(number) for number in range(11)]
    params = {"start_date": today().isoformat(), "categories": many}
    assert esp.client.get("/v3/categories/stats", params=params).status_code == 400


def test_a_zone_of_its_own_and_figures_that_are_behind(esp, campaign):
    esp.send(campaign(3, domain="delivered.test"))
    yesterday = (today() - timedelta(days=1)).isoformat()
    hours = datetime.now(UTC).hour + 1
    esp.client.put("/sandbox/faults", json={"stats_hours_ahead": -hours})
    counts = [day["stats"][0]["metrics"]["delivered"] for day in stats(esp, start_date=yesterday)]
    assert counts == [3, 0]
    esp.client.put("/sandbox/faults", json={"stats_behind_seconds": 3600})
    assert stats(esp)[0]["stats"][0]["metrics"]["requests"] == 0


@pytest.fixture
def bought(start):
    esp = start(email_activity=True)
    esp.client.put("/sandbox/faults", json={"look_ups_a_minute": None}).raise_for_status()
    return esp


def test_the_story_of_a_message(bought, mail, personalization):
    bought.send(mail(personalization("p@click.test", "run.0"), categories=["spring"]))
    query = {"query": "unique_args['message_id']=\"run.0\""}
    (found,) = bought.client.get("/v3/messages", params=query).json()["messages"]
    told = bought.client.get(f"/v3/messages/{found['msg_id']}").raise_for_status().json()
    assert [one["event_name"] for one in told["events"]] == ["processed", "delivered", "opened", "clicked"]
    assert told["events"][3]["url"] == "https://shop.example.com/sale"
    assert "ip" not in told["events"][2]
    assert json.loads(told["unique_args"])["message_id"] == "run.0"
    assert told["status"] == "delivered"


def test_why_a_message_failed(bought, mail, personalization):
    bought.send(mail(personalization("p@soft.test", "run.0")))
    (found,) = bought.client.get("/v3/messages", params={"query": 'to_email="p@soft.test"'}).json()["messages"]
    bounce = bought.client.get(f"/v3/messages/{found['msg_id']}").json()["events"][1]
    assert (bounce["event_name"], bounce["bounce_type"]) == ("bounced", "blocked")
    assert bounce["reason"].startswith("552 5.2.2")


@pytest.mark.parametrize("message", ["x", "x.1", "x.99", ".1"])
def test_a_message_that_there_is_not(bought, campaign, message):
    bought.send(campaign(1))
    assert bought.client.get(f"/v3/messages/{message}").status_code == 404


def test_stories_are_sold_and_rationed_too(esp, bought):
    assert esp.client.get("/v3/messages/x.1").status_code in {403, 404}
    bought.client.put("/sandbox/faults", json={"look_ups_a_minute": 0})
    assert bought.client.get("/v3/messages/x.1").status_code == 429


def test_events_that_are_lost_never_come(start, receiver, campaign, eventually):
    esp = start(webhook_url=receiver.url)
    esp.client.put("/sandbox/faults", json={"lose_events": True}).raise_for_status()
    esp.send(campaign(3, domain="delivered.test"))
    eventually(lambda: esp.summary()["events_due"] == 0)
    esp.client.put("/sandbox/faults", json={}).raise_for_status()
    esp.send(campaign(1, domain="delivered.test", run="later"))
    eventually(lambda: len(receiver.taken) >= 2)
    assert {one["message_id"] for one in receiver.taken} == {"later.0"}
