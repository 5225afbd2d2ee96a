"""A run's own merge fields: their tags, and how a value is written into one.

A contact's fields are shared by all campaigns that go to her, so each run has fields of its own: their tags begin with a
hash of the run's key. A tag has ten characters at most, of A-Z, 0-9 and _; an audience has 30 fields, 80 on Premium; a
text field holds 255 bytes (Mailchimp's help, "Manage audience and signup form fields"; mailchimp/mc-magento #957, #1140).
"""

import base64
import hashlib
import re

# Mailchimp has pages of its own for these, and insists on them; they need no field.
UNSUBSCRIBE_URL = "unsubscribe_url"
PREFERENCES_URL = "preferences_url"
SYSTEM_TAGS = {UNSUBSCRIBE_URL: "*|UNSUB|*", PREFERENCES_URL: "*|UPDATE_PROFILE|*"}

MOST_BYTES = 255
_LONGEST_NAME = 50
# Whether Mailchimp escapes a value that it puts into HTML is not documented, and one field serves HTML, text and
# subject. So a value is written such that it reads the same either way: what HTML would take for markup becomes its
# typographic sister. O'Brien is well served; an & before a letter would be the beginning of an entity.
_TYPOGRAPHIC = str.maketrans({"<": "\u2039", ">": "\u203a", '"': "\u201d", "'": "\u2019"})
_IN_A_URL = str.maketrans({"<": "%3C", ">": "%3E", '"': "%22", "'": "%27", " ": "%20", "|": "%7C"})
_ENTITY = re.compile(r"&(?=[A-Za-z#])")
_URL = re.compile(r"https?://\S+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")


def mark(key: str) -> str:
    """How the tags of a run's fields begin."""
    return f"E{_short(key, 4)}"


def tag(key: str, variable: str) -> str:
    """The tag of a variable's field: the same whoever asks, so that nothing need be remembered."""
    return f"{mark(key)}{_short(variable, 5)}"


def name(key: str, variable: str) -> str:
    """The field's name, for people; it ends in more of the run's key than a tag has room for."""
    ending = f" {_short(key, 13)}"
    return variable[: _LONGEST_NAME - len(ending)] + ending


def is_of(key: str, *, tag: str, name: str) -> bool:
    """Whether a field is this run's."""
    return tag.startswith(mark(key)) and name.endswith(f" {_short(key, 13)}")


def merge_tag(key: str, variable: str) -> str:
    """What stands in the content where the variable is to be."""
    return SYSTEM_TAGS.get(variable) or f"*|{tag(key, variable)}|*"


def written(value: str) -> str:
    """A value as a field holds it: one line, safe in HTML, text and subject, and no merge tag itself."""
    line = _CONTROLS.sub(" ", value).strip()
    if _URL.fullmatch(line):
        return line.translate(_IN_A_URL)
    plain = _ENTITY.sub("\uff06", line.translate(_TYPOGRAPHIC))
    return plain.replace("*|", "* |").replace("|*", "| *")


def _short(text: str, length: int) -> str:
    """Base32: A-Z and 2-7. Five bits a character: of a run's variables two are alike once in thirty million."""
    return base64.b32encode(hashlib.sha256(text.encode()).digest()).decode()[:length]
