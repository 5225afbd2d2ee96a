"""Templates that the sandbox keeps as SendGrid does."""

import httpx
import pytest

from tests.providers.sandbox.conftest import Esp, mail

VERSION = {"name": "one", "subject": "Hello {{{first_name}}}", "html_content": "<p>Hi</p>", "plain_content": "Hi"}


def made(esp: Esp, **version: object) -> tuple[str, str]:
    template = esp.client.post("/v3/templates", json={"name": "spring", "generation": "dynamic"}).json()
    body = VERSION | {"generate_plain_content": False} | version
    return template["id"], esp.client.post(f"/v3/templates/{template['id']}/versions", json=body).json()["id"]


def test_the_first_version_is_active_and_one_alone(esp: Esp) -> None:
    template_id, first = made(esp, active=0)
    second = esp.client.post(f"/v3/templates/{template_id}/versions", json=VERSION | {"active": 1}).json()
    assert second["active"] == 1
    assert second["plain_content"] != "Hi"  # SendGrid writes a text of its own unless it is told not to
    (row,) = esp.client.get("/v3/templates", params={"generations": "dynamic", "page_size": 10}).json()["result"]
    assert {one["id"]: one["active"] for one in row["versions"]} == {first: 0, second["id"]: 1}
    assert "html_content" not in row["versions"][0]
    assert esp.client.get("/v3/templates", params={"page_size": 10}).json()["result"] == []  # legacy unless said
    back = esp.client.post(f"/v3/templates/{template_id}/versions/{first}/activate").json()
    assert (back["active"], back["plain_content"]) == (1, "Hi")


def test_a_version_is_changed_in_the_parts_that_are_given(esp: Esp) -> None:
    template_id, version_id = made(esp)
    path = f"/v3/templates/{template_id}/versions/{version_id}"
    assert esp.client.patch(path, json={"subject": "Bye"}).json()["html_content"] == VERSION["html_content"]
    assert esp.client.get(path).json()["subject"] == "Bye"
    assert esp.client.delete(path).status_code == 204
    assert esp.client.get(path).status_code == 404
    assert esp.client.delete(f"/v3/templates/{template_id}").status_code == 204
    assert esp.client.get(f"/v3/templates/{template_id}").status_code == 404


def test_mail_by_a_template_that_has_no_active_version_is_refused(esp: Esp) -> None:
    template_id, version_id = made(esp)
    assert esp.send(mail(template_id=template_id)).status_code == 202
    esp.client.delete(f"/v3/templates/{template_id}/versions/{version_id}")
    for unknown in (template_id, "d-0"):
        answer = esp.send(mail(template_id=unknown))
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "template_id")


@pytest.mark.parametrize(
    "bad", [{"subject": "s" * 256}, {"name": ""}, {"active": 2}, {"html_content": "x" * 1_048_577}]
)
def test_what_sendgrid_would_not_take_is_refused(esp: Esp, bad: dict[str, object]) -> None:
    template_id, _ = made(esp)
    assert esp.client.post(f"/v3/templates/{template_id}/versions", json=VERSION | bad).status_code == 400
    assert esp.client.post("/v3/templates", json={"name": "x" * 101}).status_code == 400
    assert esp.client.get("/v3/templates").status_code == 400  # a page has a size


def test_templates_are_told_to_those_who_know_the_key(esp: Esp) -> None:
    assert httpx.get(f"{esp.url}/v3/templates?page_size=1", trust_env=False).status_code == 401
