"""What SendGrid refuses in a mail/send request: a table of small checks, pure functions of the request.

Sources: facts/esp-contracts.md 4.1 and SendGrid's page of mail send errors. Some messages repeat an address, as
SendGrid's do: whoever receives them must not log them.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from providers.sandbox import bypasses, personalization_rules, shapes
from providers.sandbox.problems import Violation

MAX_BODY_BYTES = 30 * 1024 * 1024
MAX_PERSONALIZATIONS = 1000
MAX_RECIPIENTS = 1000
MAX_CATEGORIES = 10
MAX_CATEGORY_LENGTH = 255
MAX_GROUPS_TO_DISPLAY = 25
MAX_SECONDS_AHEAD = 72 * 3600
POOL_NAME_LENGTHS = range(2, 65)
_EXAMPLE = 'e.g. {"email": "example@example.com"} or {"email": "example@example.com", "name": "Example Recipient"}.'

Json = Mapping[str, Any]


def violations(payload: Any, *, now: float) -> list[Violation]:
    """Everything wrong with a request; where a type is wrong, only the types."""
    if found := list(shapes.violations(payload)):
        return found
    found.extend(violation for check in MESSAGE_CHECKS for violation in check(payload))
    found.extend(_too_late(payload, "send_at", now))
    for position, personalization in enumerate(payload.get("personalizations", ())):
        field = f"personalizations.{position}"
        found.extend(personalization_rules.violations(payload, personalization, field))
        found.extend(_too_late(personalization, f"{field}.send_at", now))
    return found


def _sender(payload: Json) -> Iterator[Violation]:
    sender = payload.get("from")
    if sender is None:
        yield Violation(
            "The from object must be provided for every email send. It is an object that requires the email parameter,"
            f" but may also contain a name parameter. {_EXAMPLE}",
            "from.email",
        )
    elif not (email := sender.get("email", "")).isascii() or not shapes.is_address(email):
        yield Violation("The from email does not contain a valid address.", "from.email")


def _reply_to(payload: Json) -> Iterator[Violation]:
    reply_to = payload.get("reply_to")
    if reply_to is not None and not shapes.is_address(reply_to.get("email", "")):
        yield Violation(
            "The reply_to object, when used, must at least have an email parameter with a valid email address and it"
            f" may also contain a name parameter. {_EXAMPLE}",
            "reply_to.email",
        )


def _subject(payload: Json) -> Iterator[Violation]:
    everywhere = all(personalization.get("subject") for personalization in payload.get("personalizations", ()))
    if not payload.get("subject") and not payload.get("template_id") and not everywhere:
        yield Violation(
            "The subject is required. You can get around this requirement if you use a template with a subject defined"
            " or if every personalization has a subject defined.",
            "subject",
        )


def _content(payload: Json) -> Iterator[Violation]:
    content = payload.get("content")
    if content is None:
        if not payload.get("template_id"):
            yield Violation(
                "The content param is required unless you are using a transactional template and have defined a"
                " template_id.",
                "content",
            )
    elif not content:
        yield Violation(
            "There must be at least one defined content block. We typically suggest both text/plain and text/html"
            " blocks are included, but only one block is required.",
            "content",
        )
    for position, part in enumerate(content or ()):
        if not part.get("type"):
            yield Violation(
                "A content type is required, this tells email clients how to display the email.",
                f"content.{position}.type",
            )
        if not part.get("value"):
            yield Violation(
                "The content value must be a string at least one character in length.", f"content.{position}.value"
            )


def _order_of_content(payload: Json) -> Iterator[Violation]:
    rank = {"text/plain": 0, "text/html": 1}
    ranks = [rank.get(part.get("type"), 2) for part in payload.get("content", ())]
    if ranks != sorted(ranks):
        yield Violation(
            "Following RFC 1341, section 7.2, if either text/html or text/plain are to be sent in your email:"
            " text/plain needs to be first, followed by text/html, followed by any other content.",
            "content",
        )


def _categories(payload: Json) -> Iterator[Violation]:
    categories = payload.get("categories", [])
    if not all(type(category) is str for category in categories):
        yield Violation("Categories must be an array of strings.", "categories")
        return
    if len(categories) > MAX_CATEGORIES:
        yield Violation(
            "There is a limit of 10 categories for each email that is sent."
            f" You provided {len(categories)} categories.",
            "categories",
        )
    for position, category in enumerate(categories):
        if category in categories[:position]:
            yield Violation(
                f"The categories must be a unique list, and you have included {category} more than once.", "categories"
            )
        if len(category) > MAX_CATEGORY_LENGTH:
            yield Violation(
                f"Each category must not be longer than 255 characters. {category} exceeds this limit.", "categories"
            )
        if not category.isascii():
            yield Violation("Categories can not contain non-ASCII characters.", "categories")


def _unsubscribe_groups(payload: Json) -> Iterator[Violation]:
    asm = payload.get("asm")
    if asm is None:
        return
    if "group_id" not in asm:
        yield Violation("The ASM group ID must be an integer.", "asm.group_id")
    if len(asm.get("groups_to_display", ())) > MAX_GROUPS_TO_DISPLAY:
        yield Violation(
            "There is a limit of 25 unsubscribe groups that can be displayed to a user at a time.",
            "asm.groups_to_display",
        )


def _counts(payload: Json) -> Iterator[Violation]:
    personalizations = payload.get("personalizations", ())
    if not personalizations:
        yield Violation("You must have at least one personalization.", "personalizations")
    if len(personalizations) > MAX_PERSONALIZATIONS:
        yield Violation(
            "The personalization block is limited to 1000 personalizations per API request. You have provided"
            f" {len(personalizations)} personalizations. Please consider splitting this into multiple requests and"
            " resending your request.",
            "personalizations",
        )
    if sum(len(personalization.get(role, ())) for personalization in personalizations for role in shapes.ROLES) > (
        MAX_RECIPIENTS
    ):
        yield Violation("There is a limit of 1000 total recipients (to + cc + bcc) per request.", "personalizations")


def _duplicates(payload: Json) -> Iterator[Violation]:
    """No address twice in the request; letter case makes no difference."""
    seen: dict[str, tuple[int, str, int]] = {}
    for position, personalization in enumerate(payload.get("personalizations", ())):
        for role, order, person in shapes.people(personalization):
            email = person.get("email", "")
            first = seen.setdefault(email.lower(), (position, role, order))
            if first == (position, role, order):
                continue
            if first[0] == position:
                yield Violation(
                    "Each email address in the personalization block should be unique between to, cc, and bcc. We found"
                    f" the first duplicate instance of [{email}] in the personalizations.{position}.{role} field.",
                    f"personalizations.{position}",
                )
            else:
                yield Violation(
                    "Each unique email address in the personalizations array should only be included once. You have"
                    f" included [{email}] more than once.",
                    f"personalizations.{position}",
                )


def _pool(payload: Json) -> Iterator[Violation]:
    name = payload.get("ip_pool_name")
    if name is not None and len(name) not in POOL_NAME_LENGTHS:
        yield Violation("The ip pool name must be between 2 and 64 characters.", "ip_pool_name")


def _common_headers(payload: Json) -> Iterator[Violation]:
    yield from personalization_rules.headers(payload.get("headers", {}), "headers")


def _too_late(part: Json, field: str, now: float) -> Iterator[Violation]:
    if part.get("send_at", 0) > now + MAX_SECONDS_AHEAD:
        yield Violation("Scheduling more than 72 hours in advance is forbidden.", field)


MESSAGE_CHECKS: tuple[Callable[[Json], Iterator[Violation]], ...] = (
    _counts,
    _duplicates,
    _sender,
    _reply_to,
    _subject,
    _content,
    _order_of_content,
    _categories,
    _unsubscribe_groups,
    _pool,
    _common_headers,
    bypasses.violations,
)
