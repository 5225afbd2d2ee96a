"""What a refusal means for the address, and whose fault it is: one judgement for all ESPs, relays and returned mail.

Sources: domain/bounce_codes.py and domain/bounce_table.py give one for each code and wording; facts/reliability.md
section 4 says which class a cause is.

A hard bounce stops all mail to a person for ever, so it takes unanimity of whatever speaks (each code, the prose, an
ESP's own class): one that says otherwise is believed.
"""

import re
from collections.abc import Iterable, Sequence

from domain.bounce_causes import Cause, Verdict, verdict_of
from domain.bounce_codes import BASIC, ENHANCED
from domain.bounce_rows import Row
from domain.bounce_table import ROWS, WEAK
from domain.delivery import BounceClass, Fault

__all__ = [
    "Cause",
    "Verdict",
    "agreed",
    "is_status",
    "is_taken",
    "judge",
    "normalised",
    "source_of",
    "speakers",
    "what_follows",
]

GONE = verdict_of(Cause.UNKNOWN_MAILBOX)
AWAY = verdict_of(Cause.DISABLED_MAILBOX)
TRANSIENT = verdict_of(Cause.SYSTEM)
THROTTLED = verdict_of(Cause.RATE)
BLOCKED = verdict_of(Cause.POLICY)
CONTENT = verdict_of(Cause.CONTENT)
UNKNOWN = verdict_of(Cause.UNKNOWN)

_LONGEST = 4000  # characters of a reply that are read; the longest that providers write have about 1,000
_MOST_CODES = 6

# Not a part of a version or an IP address: the second number of an enhanced code is one digit.
_ENHANCED = re.compile(r"(?<![\d.])([45])\.([0-7])\.(\d{1,3})(?![\d.]*\d)")
# Where a reply begins: at the start, or behind what a mail server writes before it.
_BASIC = re.compile(r"(?:^\W{0,9}|smtp; ?|said: ?|response: ?|<<< ?|: )([45]\d\d)(?=[\s\-#;:]|$)", re.IGNORECASE)
_STATUS = re.compile(r"#?[45](?:\d\d|\.\d{1,3}\.\d{1,3})")
# A reply that is none of a refusal: 2yz took what was sent, 3yz wants more of it.
_TAKEN = re.compile(r"\W{0,9}(?:smtp; ?)?(?:[23]\d\d(?=[\s\-#]|$)|2\.\d\.\d{1,3}\b)", re.IGNORECASE)
_TAG = re.compile(
    r"</?(?:a|b|body|br|div|em|font|html|i|p|pre|span|strong|table|td|tr)(?:[ /][^<>]{0,200})?>", re.IGNORECASE
)
_SEPARATORS = str.maketrans(dict.fromkeys('<>()[]{};,:"!?*|=/\\\u201c\u201d\u00ab\u00bb\u3002\uff0c\uff1a', " "))
_NO_APOSTROPHES = str.maketrans(dict.fromkeys("'\u2019\u2018`\u00b4", ""))
# 550-5.7.26 at the head of each line of a reply, also in the middle of one that was folded.
_REPLY_CODE = re.compile(r"^(?:[245]\d\d(?:-|$))?#?(?:[245]\.\d\.\d{1,3}\b)?")
# Postfix tells which command was answered, Google which of the two servers refused, IronPort what class of codes it was
# ("5.1.0 - Unknown address error 554-'…'", of whatever was said to RCPT): none is a reason.
_NO_EVIDENCE = re.compile(
    r"unknown address error|other mail system problem|help-spam-16|"
    r"\(?in reply to (?:helo|ehlo) command\)?|rejected by the (?:server for the )?recipient domain(?: \S{1,255} by)?"
)
_HOST = re.compile(
    r"^[\w-]+(?:\.[\w-]+)*\.(?:com|net|org|edu|gov|info|biz|io|co|example|invalid|test|local|"
    r"de|fr|uk|jp|it|es|ru|cn|br|nl|be|at|ch|pl|cz|ee|se|no|dk|fi|eu|us|ca|au|in|tw|kr|mx|pt|ie)$"
)


def judge(*, status: str, text: str, also: Verdict | None = None) -> Verdict:
    """Judge a refusal by its codes (enhanced or basic, in `status` or in the text) and its prose; "" says nothing.

    `also`: what somebody who read more than we did says of it, such as an ESP's own class. Words that are said of
    anything ("try again later") are heard only where nothing else speaks.
    """
    heard = agreed((*speakers(status=status, text=text), also))
    if heard is None or heard.cause is Cause.UNKNOWN:  # a bare 4xx knows no more than the words do
        return _of_row(_first(WEAK, text, ())) or heard or UNKNOWN
    return heard


def speakers(*, status: str, text: str) -> tuple[Verdict | None, Verdict | None]:
    """What the prose says, and what the codes say; None of one that says nothing."""
    status, text = status[:_LONGEST], text[:_LONGEST]
    enhanced = [*_enhanced(status), *_enhanced(text)][:_MOST_CODES]
    row = _first(ROWS, text, enhanced)
    # A row that names a code knows what it means there: qmail's lists of recipients say 5.7.1.
    others = [code for code in enhanced if row is None or code not in row.codes]
    codes = agreed([*map(_of_enhanced, others), *map(_of_basic, _basics(status, text))])
    return _of_row(row), codes


def agreed(spoken: Sequence[Verdict | None]) -> Verdict | None:
    """What all that spoke come to, the best informed first; None when nobody did.

    Hard only when all say so. Otherwise the first of those who do not, and of these one that is not vague. That a reply
    blames the person vaguely, as 552 and 5.2.1 do, is no objection to one that blames her plainly. Beside a bare 5.7.1
    she is doubted: Yandex, qmail and Proofpoint write it of unknown users, others of whatever they refuse.
    """
    heard = [verdict for verdict in spoken if verdict is not None]
    others = [verdict for verdict in heard if verdict.bounce_class is not BounceClass.HARD]
    known = next((verdict for verdict in others if not verdict.vague), None)
    if known or len(others) == len(heard):
        return known or next(iter(others), None)
    hard = next(verdict for verdict in heard if verdict.bounce_class is BounceClass.HARD)
    objection = next((verdict for verdict in others if verdict.fault is not Fault.RECIPIENT), None)
    return verdict_of(Cause.DOUBTED, rule=hard.rule) if _is_bare_policy(objection) else objection or hard


def _is_bare_policy(verdict: Verdict | None) -> bool:
    return verdict is not None and verdict.vague and verdict.cause is Cause.POLICY


def is_status(status: str) -> bool:
    """Whether it is the code of a refusal: enhanced (5.1.1) or basic (550), of which the first digit is 4 or 5."""
    return _STATUS.fullmatch(status.strip()) is not None


def is_taken(text: str) -> bool:
    """Whether a reply says by its code that mail was taken, and no code in it says otherwise."""
    text = text[:_LONGEST]
    return _TAKEN.match(text) is not None and not _enhanced(text) and not _basics("", text)


def source_of(rule: str) -> str:
    """Where the row comes from that a verdict names; "" of a rule that is in no table of ours."""
    code = ENHANCED.get(rule) or BASIC.get(rule)
    if code:
        return code.source
    return next((row.source for row in (*ROWS, *WEAK) if row.rule == rule), "")


def what_follows(verdict: Verdict) -> str:
    """One sentence for people: what a verdict leads to."""
    if verdict.suppresses:
        return "Ends all mail to the address."
    if verdict.fault is Fault.SENDER:
        return "Suppresses nobody: the sender is to blame, and sending to that mailbox provider slows or pauses."
    if verdict.fault is Fault.CONTENT:
        return "Suppresses nobody: the content is to blame, and that variant is what has to change."
    if verdict.fault is Fault.RECIPIENT and verdict.bounce_class is BounceClass.SOFT:
        return "Suppresses nobody yet: it is counted against the address, which may recover."
    if verdict.fault is Fault.UNKNOWN:
        return "Suppresses nobody: unknown is soft, and the text is worth a row."
    return "Suppresses nobody."


def normalised(text: str) -> tuple[str, str]:
    """The words of a reply, as the phrases of the table are written: without host names, and with them.

    An address becomes an @: joe@spam.example.com is no evidence of spam.
    """
    plain = (
        _TAG.sub(" ", text)
        .casefold()
        .translate(_NO_APOSTROPHES)
        .replace("%40", "@")
        .replace("\uff20", "@")
        .replace("_", "-")
    )
    plain = _NO_EVIDENCE.sub(" ", plain)
    tokens = [token for token in map(_token, plain.translate(_SEPARATORS).split()) if token]
    words = [token for token in tokens if not _HOST.match(token)]
    return f" {' '.join(words)} ", f" {' '.join(tokens)} "


def _token(token: str) -> str:
    if "@" in token:
        return "@"
    return _REPLY_CODE.sub("", token, count=1).strip(".-#&")


def _first(rows: Iterable[Row], text: str, codes: Sequence[str]) -> Row | None:
    words, whole = normalised(text[:_LONGEST])
    for row in rows:
        if (not row.codes or not row.codes.isdisjoint(codes)) and row.speaks(words, whole):
            return row
    return None


def _of_row(row: Row | None) -> Verdict | None:
    return verdict_of(row.cause, rule=row.rule) if row else None


def _enhanced(text: str) -> list[str]:
    return [".".join(found.groups()) for found in _ENHANCED.finditer(text)]


def _basics(status: str, text: str) -> list[str]:
    return [found[1] for found in (_BASIC.search(status), _BASIC.search(text)) if found]


def _of_enhanced(code: str) -> Verdict | None:
    first, second, _ = code.split(".")
    key = next((key for key in (code, f"{first}.{second}", first) if key in ENHANCED), None)
    return verdict_of(ENHANCED[key].cause, rule=key, vague=ENHANCED[key].vague) if key else None


def _of_basic(code: str) -> Verdict | None:
    key = next((key for key in (code, f"{code[0]}yz") if key in BASIC), None)
    return verdict_of(BASIC[key].cause, rule=key, vague=BASIC[key].vague) if key else None
