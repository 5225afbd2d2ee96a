"""Who keeps templates, by the name of a provider."""

from domain.esp_templates import TemplateStore
from tasks import esps


class KeepsNoTemplates(LookupError):
    """The provider keeps none: its mail is always filled in here."""


def open_store(provider: str) -> TemplateStore:
    """The store of a provider; close it. Raises KeepsNoTemplates, UnknownProvider, and what a missing key raises."""
    store = esps.reach(provider).templates()
    if store is None:
        raise KeepsNoTemplates(f"{provider} keeps no templates: name a local one, which travels with the mail")
    return store
