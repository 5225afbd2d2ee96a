"""What every TemplateStore must do, whatever the ESP calls it. A test file subclasses it and gives `store`."""

import pytest

from domain.esp_templates import NotTold, Parts, TemplateGone, TemplateStore, find, version_of
from domain.templates import html_tag, plain_tag

OURS = Parts(
    f"Hello {plain_tag('first_name')}",
    f'<p>Dear {html_tag("first_name")}, <a href="{html_tag("unsubscribe_url")}">no more</a></p>',
    f"Dear {plain_tag('first_name')}\n{plain_tag('unsubscribe_url')}",
)
OTHER = Parts("Bye", OURS.html.replace("Dear", "Bye"), OURS.text)


class TemplateStoreContract:
    """Over a faked wire, or the sandbox."""

    gives_back = True  # what a version says

    def test_there_is_nothing_at_first(self, store: TemplateStore) -> None:
        assert list(store.templates()) == []
        with pytest.raises(TemplateGone):
            find(store.templates(), "win-back")

    def test_an_upload_is_a_new_version_and_the_old_one_stays(self, store: TemplateStore) -> None:
        template_id, first = store.upload("win-back", "one", store.write(OURS), activate=True)
        same, second = store.upload("win-back", "two", store.write(OTHER), activate=True)
        assert same == template_id
        kept = find(store.templates(), "win-back")
        assert {one.id for one in kept.versions} == {first, second}
        assert version_of(kept, None).id == second
        if self.gives_back:
            assert store.read(template_id, first)[1] == store.write(OURS)
            assert store.read(template_id, second)[1] == store.write(OTHER)

    def test_the_first_version_is_active_whatever_is_asked(self, store: TemplateStore) -> None:
        _, first = store.upload("win-back", "one", store.write(OURS), activate=False)
        assert version_of(find(store.templates(), "win-back"), None).id == first

    def test_templates_of_other_names_are_others(self, store: TemplateStore) -> None:
        one, _ = store.upload("one", "x", store.write(OURS), activate=True)
        two, _ = store.upload("two", "x", store.write(OURS), activate=True)
        assert one != two
        assert [kept.name for kept in store.templates()] == ["one", "two"]

    def test_activating_the_active_one_changes_nothing(self, store: TemplateStore) -> None:
        template_id, version_id = store.upload("win-back", "one", store.write(OURS), activate=True)
        assert store.activate(template_id, version_id) == version_id
        assert len(find(store.templates(), "win-back").versions) == 1

    def test_what_is_gone_is_gone(self, store: TemplateStore) -> None:
        with pytest.raises(TemplateGone):
            store.activate("d-nothing", "0")
        with pytest.raises(TemplateGone if self.gives_back else NotTold):
            store.read("d-nothing", "0")

    def test_a_version_is_understood_as_it_was_written(self, store: TemplateStore) -> None:
        template_id, version_id = store.upload("win-back", "one", store.write(OURS), activate=True)
        if not self.gives_back:
            with pytest.raises(NotTold):
                store.read(template_id, version_id)
            return
        understood = store.understand(store.read(template_id, version_id)[1])
        assert (understood.parts, understood.used) == (OURS, ("first_name", "unsubscribe_url"))
        assert (understood.fallbacks, understood.warnings) == ({}, ())

    def test_mail_calls_it_by_one_name(self, store: TemplateStore) -> None:
        template_id, version_id = store.upload("win-back", "one", store.write(OURS), activate=True)
        sent_by = store.sent_by(template_id, version_id)
        assert sent_by in ({template_id, version_id} if self.gives_back else {None})
