"""What SendGrid posts after a campaign: three events a message, with repetitions and out of order, in bodies of 1,000.

Each message is processed; one of a hundred bounces (half of these hard), the others are delivered; then opens, clicks
and a few complaints. 13 of 300 events come twice, the second time with another `sg_event_id`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from benchmarks import shop

BODY = 1000  # events
A_MESSAGE = 3  # events, all in all
_OPENED, _CLICKED, _COMPLAINED, _BOUNCED = 0.70, 0.17, 0.0005, 0.01
_A_SECOND = 300  # messages that leave
_TWICE = 0.045
_AGENT = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36"
_ENGAGED = f'"useragent":"{_AGENT}","ip":"198.51.100.9"'
_NO_MAILBOX = (
    '"type":"bounce","bounce_classification":"Invalid Address","status":"5.1.1",'
    '"reason":"550 5.1.1 The email account that you tried to reach does not exist. - gsmtp"'
)
_FULL_MAILBOX = (
    '"type":"blocked","bounce_classification":"Mailbox Unavailable","status":"5.2.2",'
    '"reason":"552 5.2.2 The recipient\'s inbox is out of storage space and inactive. - gsmtp"'
)
# The vendor's word and what only this kind of event carries.
_KINDS = (
    ("processed", '"smtp-id":"<pe2UpVEfSaSa@geopod-ismtpd-4>"'),
    ("delivered", '"response":"250 2.0.0 OK  1795338000 d9443c01a7336 - gsmtp","ip":"198.51.100.7","tls":1'),
    ("bounce", _NO_MAILBOX),
    ("bounce", _FULL_MAILBOX),
    ("open", f'{_ENGAGED},"sg_machine_open":false'),
    ("open", f'{_ENGAGED},"sg_machine_open":true'),
    ("click", f'{_ENGAGED},"url":"https://shop.example.com/new-arrivals/jazz?utm_source=news"'),
    ("spamreport", '"useragent":"-"'),
)
_PROCESSED, _DELIVERED, _HARD, _FULL, _OPEN, _MACHINE, _CLICK, _SPAM = range(len(_KINDS))
_Numbers = NDArray[np.int64]


def bodies(run_id: str, people: Sequence[int], began: datetime, *, seed: int = 1) -> Iterator[bytes]:
    """All posts after a run that began then, in the order in which they arrive. `people`: of benchmarks.shop, by ordinal."""
    kind, ordinal, second, arrives = _story(len(people), int(began.timestamp()), seed)
    order = np.argsort(arrives, kind="stable")
    for first in range(0, len(order), BODY):
        some = order[first : first + BODY]
        events = zip(kind[some].tolist(), ordinal[some].tolist(), second[some].tolist(), strict=True)
        yield _body(run_id, first, people, events)


def refusal(run_id: str, ordinal: int, people: Sequence[int], at: datetime, *, complaint: bool) -> bytes:
    """One event alone: a complaint, or a bounce of a mailbox that does not exist."""
    return _body(run_id, 10**9 + ordinal, people, [(_SPAM if complaint else _HARD, ordinal, int(at.timestamp()))])


def _body(run_id: str, number: int, people: Sequence[int], events: Iterable[tuple[int, int, int]]) -> bytes:
    parts = [
        f'{{"email":"{shop.address(people[ordinal])}","timestamp":{second},"event":"{_KINDS[kind][0]}",'
        f'"sg_event_id":"ZGVsaXZlcmVk{number + place:022d}",'
        f'"sg_message_id":"14c5d75ce93dfd64b469.recvd-5f54b5d587-x7xkz-1-6920-{ordinal:X}.0",'
        f'"message_id":"{run_id}.{ordinal}","attempt_id":"{attempt_of(run_id, ordinal)}",{_KINDS[kind][1]}}}'
        for place, (kind, ordinal, second) in enumerate(events)
    ]
    return f"[{','.join(parts)}]".encode()


def attempt_of(run_id: str, ordinal: int) -> str:
    """The attempt by which a message went, as long as a real one's id."""
    return f"a{run_id[-20:]}{ordinal // BODY:011d}"


def _story(recipients: int, began: int, seed: int) -> tuple[_Numbers, _Numbers, _Numbers, NDArray[np.float64]]:
    """Kind, ordinal, second and arrival of every event; some twice, nothing in order."""
    chance = np.random.default_rng(seed)
    everybody = np.arange(recipients)
    left = began + everybody / _A_SECOND
    bounced = chance.random(recipients) < _BOUNCED
    arrived = left + 2 + chance.exponential(20, recipients)

    def some(share: float) -> _Numbers:
        return np.flatnonzero(~bounced & (chance.random(recipients) < share))

    opened, clicked, complained = some(_OPENED), some(_CLICKED), some(_COMPLAINED)
    later: Callable[[_Numbers, float], NDArray[np.float64]] = lambda who, mean: (  # noqa: E731
        arrived[who] + 5 + chance.exponential(mean, len(who))
    )
    fates = np.where(bounced, np.where(chance.random(recipients) < 0.5, _HARD, _FULL), _DELIVERED)  # noqa: PLR2004
    opens = np.where(chance.random(len(opened)) < 0.4, _MACHINE, _OPEN)  # noqa: PLR2004
    parts = [
        (np.full(recipients, _PROCESSED), everybody, left + 1),
        (fates, everybody, arrived),
        (opens, opened, later(opened, 3600)),
        (np.full(len(clicked), _CLICK), clicked, later(clicked, 5400)),
        (np.full(len(complained), _SPAM), complained, later(complained, 5400)),
    ]
    kind, ordinal, at = (np.concatenate([part[place] for part in parts]) for place in range(3))
    twice = np.flatnonzero(chance.random(len(at)) < _TWICE)
    kind, ordinal, at = (np.concatenate([whole, whole[twice]]) for whole in (kind, ordinal, at))
    late = chance.exponential(np.where(chance.random(len(at)) < 0.02, 600, 5))  # noqa: PLR2004
    late[len(at) - len(twice) :] += 60
    return kind.astype(np.int64), ordinal.astype(np.int64), at.astype(np.int64), at + late
