"""Suppressions as CSV, both ways: what is exported executes nothing in a spreadsheet, and comes back as it was.

A spreadsheet takes a cell for a formula by its first character. Such a cell gets an apostrophe in front, and so does one
that begins with an apostrophe itself, so that reading takes away exactly what writing has added.
"""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain, islice
from typing import Any, TextIO, TypeVar

import sqlalchemy as sa

from data import database, suppressions, tables
from data.suppressions import NewSuppression
from domain import addresses
from domain.suppression import Reason, Scope

_AT_ONCE = 1000
COLUMNS = ("address_hash", "reason", "scope", "source", "created_at", "expires_at")
_READ = frozenset({"address", *COLUMNS})
# As ESPs head the column of addresses in what they export (SendGrid: email; Mailchimp: Email Address).
_ADDRESS_HEADS = frozenset(
    {"email", "e-mail", "email address", "e-mail address", "email_address", "emailaddress", "mail"}
)
# What a spreadsheet takes for the start of a formula, full-width forms included.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_ESCAPED = tuple(f"'{one}" for one in (*_FORMULA, "'"))
_HASH = re.compile(r"[0-9a-f]{64}")
_Word = TypeVar("_Word", bound=StrEnum)


class UnusableFile(ValueError):
    """Nothing of the file can be read, and nothing was kept; the message says why."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What is true of a row that does not say it itself."""

    reason: Reason | None = None
    scope: Scope | None = None
    source: str = "import"


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What a file brought. `kept`: new, or standing again, longer or wider; `known`: they stood already."""

    rows: int = 0
    kept: int = 0
    known: int = 0
    bad: int = 0
    ignored_columns: tuple[str, ...] = ()


def export_csv(connection: sa.Connection, account_id: str, file: TextIO) -> int:
    """Write what is not lifted; how many rows."""
    table = tables.suppressions
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    query = (
        sa.select(*(table.c[name] for name in COLUMNS))
        .where(table.c.account_id == account_id, table.c.lifted_at.is_(None))
        .order_by(table.c.address_hash, table.c.reason)
    )
    count = 0
    for row in connection.execute(query.execution_options(yield_per=_AT_ONCE)):
        writer.writerow([csv_cell(value) for value in row])
        count += 1
    return count


def csv_cell(value: Any) -> str:
    """A value as text that no spreadsheet takes for a formula."""
    text = value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value or "")
    return f"'{text}" if text.startswith((*_FORMULA, "'")) else text


def _read(cell: str | None) -> str:
    text = cell or ""
    return text[1:] if text.startswith(_ESCAPED) else text


def import_csv(
    engine: sa.Engine,
    *,
    account_id: str,
    file: TextIO,
    name: str,
    defaults: Defaults,
    pepper: str,
    now: datetime,
    dry_run: bool,
    refuse: Callable[[int, str], None],
) -> ImportReport:
    """Keep the rows of a file, a thousand a transaction; `refuse` is told each bad row's line and what is wrong with it.

    Safe to repeat, and after a death in the middle: a row that stands already changes nothing. `dry_run` writes nothing
    and says what would be kept. Raises UnusableFile.
    """
    reader, foreign, ignored = _headed(file)
    rows = kept = good = 0
    judge = _Judge(account_id, name, defaults, pepper, now, foreign)
    numbered = _numbered(reader)
    while some := list(islice(numbered, _AT_ONCE)):
        rows += len(some)
        judged = []
        for line, row in some:
            try:
                judged.append(judge(line, row))
            except ValueError as error:
                refuse(line, str(error))
        good += len(judged)
        with database.write(engine) as connection, connection.begin_nested() as part:
            kept += suppressions.add_many(connection, judged)
            if dry_run:
                part.rollback()
    return ImportReport(rows, kept, good - kept, rows - good, ignored)


def _headed(file: TextIO) -> tuple["csv.DictReader[str]", bool, tuple[str, ...]]:
    """A reader that knows its columns; whether another program headed them; and which nobody reads."""
    first = next(file, "")
    separator = ";" if first.count(";") > first.count(",") else ","
    reader = csv.DictReader(chain([first], file), strict=True, delimiter=separator)
    try:
        found = [head.strip() for head in reader.fieldnames or ()]
    except csv.Error as error:
        raise UnusableFile(f"its first line is no CSV: {error}") from None
    heads = ["address" if head.lower() in _ADDRESS_HEADS else head.lower() for head in found]
    reader.fieldnames = heads
    if not {"address", "address_hash"} & set(heads):
        raise UnusableFile(
            "its first line must name the columns, one of them address, email or address_hash;"
            f" it has {_quoted(found)}. A bare list of addresses becomes one by a first line that says address"
        )
    if len(set(heads)) < len(heads):
        raise UnusableFile("its first line names a column twice, or has two columns of addresses")
    foreign = any(head.lower() in _ADDRESS_HEADS for head in found)
    return reader, foreign, tuple(head for head in heads if head not in _READ)


def _quoted(heads: Sequence[str]) -> str:
    """The heads that were found, but no address: a list without heads begins with one."""
    return ", ".join("an address" if "@" in head else f"'{head.strip()[:40]}'" for head in heads[:10]) or "nothing"


def _numbered(reader: "csv.DictReader[str]") -> Iterator[tuple[int, dict[Any, Any] | csv.Error]]:
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.reader.line_num, error
        else:
            yield reader.reader.line_num, row


@dataclass(frozen=True, slots=True)
class _Judge:
    """From a row to a suppression; what is wrong is said without the address."""

    account_id: str
    name: str
    defaults: Defaults
    pepper: str
    now: datetime
    foreign: bool  # an ESP's own export, whose reasons are words of its own

    def __call__(self, line: int, row: dict[Any, Any] | csv.Error) -> NewSuppression:
        """Raises ValueError."""
        if isinstance(row, csv.Error):
            raise ValueError(f"the line is no CSV: {row}")  # noqa: TRY004 - the file's fault, as all others here
        if None in row:
            raise ValueError("the line has more cells than the first one names")
        if any("\0" in cell for cell in row.values() if cell):
            raise ValueError("the line holds a NUL character")
        source = _read(row.get("source"))
        cells = {head: _read(cell).strip() for head, cell in row.items()}
        created = _moment(cells.get("created_at", ""), "created_at") or self.now
        expires = _moment(cells.get("expires_at", ""), "expires_at")
        if created > self.now:
            raise ValueError("created_at lies ahead")
        if expires is not None and expires <= created:
            raise ValueError("expires_at is not after created_at")
        word = cells.get("reason", "")
        if self.foreign and self.defaults.reason is not None and word.lower() not in list(Reason):
            word = ""
        reason = _word(word, Reason, "reason") or self.defaults.reason
        if reason is None:
            raise ValueError("no reason: the row names none, and none was given for all")
        return NewSuppression(
            account_id=self.account_id,
            address_hash=self._hash(cells),
            reason=reason,
            source=source or self.defaults.source,
            evidence=f"{self.name}, line {line}",
            created_at=created,
            expires_at=expires,
            recorded_at=self.now,
            scope=_word(cells.get("scope", ""), Scope, "scope") or self.defaults.scope,
        )

    def _hash(self, cells: dict[str, str]) -> str:
        address, given = cells.get("address", ""), cells.get("address_hash", "").lower()
        if given and not _HASH.fullmatch(given):
            raise ValueError("address_hash is not 64 hexadecimal digits")
        if not address and not given:
            raise ValueError("neither address nor address_hash")
        if not address:
            return given
        if "\ufffd" in address:
            raise ValueError("the address is not UTF-8")
        own = addresses.address_hash(address, self.pepper)
        if given and given != own:
            raise ValueError(
                "address and address_hash are not of one mailbox, or the hash was made with another pepper"
            )
        return own


def _moment(text: str, column: str) -> datetime | None:
    """A time without a zone is UTC."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{column} is no time such as 2026-01-31 or 2026-01-31T08:30:00+00:00") from None


def _word(text: str, words: type[_Word], column: str) -> _Word | None:
    if not text:
        return None
    try:
        return words(text.lower())
    except ValueError:
        known: Sequence[str] = [word.value for word in words]
        raise ValueError(f"{column} is none of {', '.join(known)}") from None
