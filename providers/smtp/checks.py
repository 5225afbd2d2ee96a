"""What a relay cannot be handed besides what no ESP can (providers/batch_checks.py): looked at before anything is said.

PayloadError is a fault of the whole batch, so of our program or of the campaign; RecipientRefused lies in one
recipient's data, and the others' mail goes.
"""

from collections.abc import Mapping, Sequence

from domain import ports
from providers import batch_checks
from providers.batch_checks import PayloadError, RecipientRefused

# A header's line has 998 characters at most (RFC 5322 section 2.1.1), and the link stands on one.
_LONGEST_URL = 900
_LONGEST_VALUE = 400  # of a variable in the subject


def batch_shape(batch: ports.Batch, most: int) -> None:
    """Refuse a batch that is empty, too large, or whose columns do not match. Raises PayloadError."""
    size = len(batch)
    if not 0 < size <= most:
        raise PayloadError(f"a batch by this relay has 1 to {most} messages, this one has {size}")
    links = {} if batch.transactional else {"unsubscribe_urls": batch.unsubscribe_urls}
    columns: dict[str, Sequence[str]] = {"addresses": batch.addresses, **links, **batch.variables}
    for name, values in columns.items():
        if len(values) != size:
            raise PayloadError(f"the batch has {size} messages but {len(values)} values of {name}")


def content(batch: ports.Batch, names: Sequence[str]) -> None:
    """Refuse content that is not here, or that no ESP could be handed. Raises PayloadError."""
    if batch.content.esp_template_id:
        raise PayloadError(f"the template {batch.content.name} lies at an ESP; a relay keeps none")
    batch_checks.inline_content(batch, names)


def header_value(name: str, value: str) -> None:
    """Refuse a recipient's value that cannot stand in the subject. Raises RecipientRefused."""
    batch_checks.header_values(name, [value])
    if len(value) > _LONGEST_VALUE:
        raise RecipientRefused(f"a value of {name} has more than {_LONGEST_VALUE} characters, too many for a subject")


def row(values: Mapping[str, object]) -> None:
    """Refuse values that are no text, or that no mail can hold (NUL: RFC 5322 section 2.3). Raises RecipientRefused."""
    for name, value in values.items():
        if not isinstance(value, str):
            raise RecipientRefused(f"a value of {name} is no text")
        if "\0" in value:
            raise RecipientRefused(f"a value of {name} holds a NUL character, which a mail must not")


def url(found: str) -> str:
    """A link as it may stand in a header between < and >. Raises RecipientRefused."""
    batch_checks.unsubscribe_urls([found])
    if len(found) > _LONGEST_URL:
        raise RecipientRefused(f"an unsubscribe URL has more than {_LONGEST_URL} characters")
    return found
