"""Templates at the sandbox's Mailchimp Transactional: what is published is not what is being written."""

from tests.providers.sandbox.mandrill import done, failed


def test_a_template_is_written_published_changed_and_forgotten(esp):
    made = done(esp, "templates/add", name="Spring Sale", code="<p>one</p>", subject="Hello", publish=False)
    assert (made["slug"], made["code"], made["publish_code"], made["published_at"]) == (
        *("spring-sale", "<p>one</p>"),
        *(None, None),
    )
    published = done(esp, "templates/publish", name="spring-sale")
    assert (published["publish_code"], published["publish_subject"]) == ("<p>one</p>", "Hello")
    changed = done(esp, "templates/update", name="spring-sale", code="<p>two</p>", publish=False)
    assert (changed["code"], changed["publish_code"], changed["subject"]) == ("<p>two</p>", "<p>one</p>", "Hello")
    assert done(esp, "templates/info", name="Spring Sale") == changed
    assert done(esp, "templates/update", name="spring-sale", text="two")["publish_code"] == "<p>two</p>"
    assert done(esp, "templates/delete", name="spring-sale")["slug"] == "spring-sale"
    assert failed(esp, "templates/info", name="spring-sale") == (404, "Unknown_Template")


def test_templates_are_listed_by_label(esp):
    for name, labels in (("a", ["brand"]), ("b", []), ("c", ["brand", "old"])):
        done(esp, "templates/add", name=name, labels=labels)
    assert [one["name"] for one in done(esp, "templates/list")] == ["a", "b", "c"]
    assert [one["name"] for one in done(esp, "templates/list", label="brand")] == ["a", "c"]


def test_what_transactional_refuses(esp):
    done(esp, "templates/add", name="Spring")
    assert failed(esp, "templates/add", name="spring!") == (422, "Invalid_Template")
    assert failed(esp, "templates/add") == (422, "ValidationError")
    assert failed(esp, "templates/add", name="x", labels=[str(n) for n in range(11)]) == (422, "ValidationError")
    assert failed(esp, "templates/publish", name="nobody") == (404, "Unknown_Template")
    assert failed(esp, "templates/list", key="wrong") == (401, "Invalid_Key")
    assert esp.client.post("/mandrill/api/1.0/templates/list.json", content=b"{").json()["name"] == "ValidationError"
    esp.client.put("/sandbox/faults", json={"errors_as_500": True}).raise_for_status()
    assert failed(esp, "templates/list", key="wrong") == (500, "Invalid_Key")
