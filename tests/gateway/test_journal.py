"""The journal while its store hangs: who was put off leaves no body in memory behind."""

import gc
import threading
import weakref

import sqlalchemy as sa

from gateway.journal import Journal


class _Body:
    """A body that tells when its memory is given back."""


def test_a_body_whose_request_was_put_off_is_not_kept_in_memory_while_the_store_hangs(engine: sa.Engine) -> None:
    hangs, goes_on = threading.Event(), threading.Event()
    stored: list[_Body] = []

    def store(_: sa.Connection, body: _Body) -> bool:
        hangs.set()
        goes_on.wait(10)
        stored.append(body)
        return True

    journal: Journal[_Body] = Journal(engine, store, name="test")
    first = journal.keep(_Body())
    hangs.wait(10)
    put_off = [_Body() for _ in range(50)]
    remembered = [weakref.ref(body) for body in put_off]
    for kept in [journal.keep(body) for body in put_off]:
        assert kept.cancel()
    del put_off
    gc.collect()
    assert [one() for one in remembered if one() is not None] == []
    last = journal.keep(_Body())
    goes_on.set()
    assert (first.result(10), last.result(10), len(stored)) == (True, True, 2)
