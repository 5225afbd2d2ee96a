"""Mail that a program wrote in a person's name: it answers, and refuses nothing.

The signs are RFC 3834's and those that programs used before and beside it; where there is none, the subject. In many
languages, as the defaults of Outlook, Gmail and vacation(1) say it.
"""

import re

from providers.smtp.mail import Mail

# Field → the values that say so; None: any value.
_FIELDS: tuple[tuple[str, re.Pattern[str] | None], ...] = (
    ("auto-submitted", re.compile(r"auto-(replied|generated|notified)", re.IGNORECASE)),
    ("x-autoreply", re.compile(r"yes|true|1", re.IGNORECASE)),
    ("x-autorespond", None),
    ("x-autoreply-from", None),
    ("x-autoresponder", None),
    ("x-mail-autoreply", None),
    ("x-ms-exchange-inbox-rules-loop", None),
    ("x-vacation", None),
    ("precedence", re.compile(r"auto[_-]?reply", re.IGNORECASE)),
    ("x-precedence", re.compile(r"auto[_-]?reply", re.IGNORECASE)),
    ("delivered-to", re.compile(r"^autoresponder$", re.IGNORECASE)),
    # Exchange writes this into out-of-office replies; into ordinary mail nobody writes "All".
    ("x-auto-response-suppress", re.compile(r"\ball\b|\boof\b", re.IGNORECASE)),
)
_SUBJECT = re.compile(
    r"""
    ^\W*(?:(?:re|aw|sv|tr|rif)\s*:\s*)?\W*(?:
      auto(?:mat(?:ic|ed))?[\s-]*(?:reply|repl(?:y|ied)|response|answer)
    | out\s+of\s+(?:the\s+)?office | (?:i\s+am\s+)?on\s+(?:vacation|holiday|leave) | vacation\b | away\s+from
    | no\s+longer\s+(?:with|employed|working) | ooo?\s*:
    | automatische\s+(?:antwort|reply)|abwesen(?:heit|d)|abwesenheits|nicht\s+im\s+(?:büro|buero|haus)|urlaub
    | automatisch\s+antwoord|afwezig
    | r[ée]ponse\s+automatique|absen(?:ce|t)\b|message\s+d['’]absence|cong[ée]s?\b
    | respuesta\s+autom[áa]tica|fuera\s+de\s+(?:la\s+)?oficina|ausente|ausencia
    | risposta\s+automatica|fuori\s+(?:sede|ufficio)|assente
    | resposta\s+autom[áa]tica|fora\s+do\s+escrit[óo]rio
    | autosvar|automatiskt?\s+svar|frånvaro|fravær|poissa
    | automatyczna\s+odpowied[źz]|odpowied[źz]\s+automatyczna|nieobecno
    | automatick[áa]\s+odpov | automatikus\s+v[áa]lasz
    | автоответ|автоматический\s+ответ|нет\s+на\s+месте
    | otomatik\s+(?:yan.t|cevap) | αυτόματη\s+απάντηση
    | 自動(?:返信|応答|回覆)|不在(?:通知|の) | 自动(?:回复|答复) | 자동\s*(?:회신|응답)
    )""",
    re.IGNORECASE | re.VERBOSE,
)
# Somebody's mailbox asks us to prove that we are a person.
_CHALLENGE = re.compile(
    r"confirm\s+(?:that\s+)?you(?:r\s+(?:message|e-?mail)|\s+are)|verify\s+your\s+(?:message|e-?mail|address)\s+to\s+deliver"
    r"|(?:spam\s*arrest|boxbe|earthlink\s+spamblocker|mailblocks|tmda|choicemail|bluebottle)"
    r"|sender\s+(?:verification|address\s+verification)|your\s+e?-?mail\s+requires\s+verification",
    re.IGNORECASE,
)


def kind_of(returned: Mail) -> str | None:
    """Which automatic answer a mail is, in two words; None of one that shows no sign of being one."""
    subject = returned.field("subject")
    if (
        _CHALLENGE.search(subject)
        or returned.field("x-boxbe-challenge")
        or "spamarrest" in returned.field("from").lower()
    ):
        return "challenge"
    if _SUBJECT.search(subject):
        return "auto-reply"
    return "auto-reply" if any(_says(returned, name, value) for name, value in _FIELDS) else None


def _says(returned: Mail, name: str, wanted: re.Pattern[str] | None) -> bool:
    return any(value and (wanted is None or wanted.search(value)) for value in returned.fields(name))
