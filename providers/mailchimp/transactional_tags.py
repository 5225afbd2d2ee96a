"""Merge tags in a template at Mailchimp Transactional: our placeholders in them, and theirs in ours.

A value is put in as it is, so each variable is sent twice: `*|NAME|*` escaped, for the HTML, and `*|NAME_TEXT|*` plain,
for subject and text (providers/mailchimp/transactional_payload.py sends both).
"""

import re
from collections.abc import Iterable

from domain import templates
from domain.esp_templates import NotInOurWords, Parts, Understood, bare, spelled

_TAG = re.compile(r"\*\|(.*?)\|\*", re.DOTALL)
_NAME = re.compile(r"[A-Z][A-Z_0-9]*")
_CONDITION = re.compile(r"IF(?:NOT)?:([A-Z][A-Z_0-9]*)")
_ENDS = frozenset({"ELSE:", "END:IF"})
_TEXT = "_TEXT"
# A sign of a tag beside one would make of both another tag.
_BESIDE = re.compile(r"[*|]\0|\0[*|]")


def write(parts: Parts) -> Parts:
    """Ours as merge tags. Raises NotInOurWords where other text would be taken for one."""
    said = bare(parts)
    if "*|" in said or "|*" in said or _BESIDE.search(said):
        raise NotInOurWords(
            "the template holds *| or |*, or one of these signs beside a variable, which Mailchimp would take for a merge"
            " tag: write it another way"
        )
    return spelled(parts, plain=lambda name: f"*|{name.upper()}{_TEXT}|*", html=lambda name: f"*|{name.upper()}|*")


def understand(parts: Parts) -> Understood:
    """Merge tags in ours. Raises NotInOurWords for all but variables and conditions on them."""
    used: set[str] = set()
    fallbacks: dict[str, str] = {}

    def tag(part: str, match: re.Match[str]) -> str:
        inside = match[1].strip()
        if condition := _CONDITION.fullmatch(inside):
            name = condition[1].removesuffix(_TEXT).lower()
            used.add(name)
            fallbacks.setdefault(name, "")
            return match[0]
        if inside in _ENDS:
            return match[0]
        if not _NAME.fullmatch(inside) or inside.endswith(_TEXT) is (part == "HTML"):
            raise _not_ours(part, match[0], inside)
        used.add(name := inside.removesuffix(_TEXT).lower())
        return templates.html_tag(name) if part == "HTML" else templates.plain_tag(name)

    said: Iterable[tuple[str, str]] = (("subject", parts.subject), ("HTML", parts.html), ("text", parts.text))
    own = Parts(*(_TAG.sub(lambda match, part=part: tag(part, match), text) for part, text in said))  # type: ignore[misc]
    return Understood(own, tuple(sorted(used)), fallbacks)


def _not_ours(part: str, tag: str, inside: str) -> NotInOurWords:
    if _NAME.fullmatch(inside):
        right = f"*|{inside.removesuffix(_TEXT)}|*" if part == "HTML" else f"*|{inside}{_TEXT}|*"
        return NotInOurWords(f"its {part} has {tag}, where a value stands safely as {right} only")
    return NotInOurWords(
        f"its {part} has {tag[:60]}: what a recipient reads can be checked for variables and *|IF:NAME|* only"
    )
