"""Versions of templates at the ESPs, as we read them, and which of them a run has pinned. A row is never changed."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from data import content, database, tables, variables
from domain import templates
from domain.campaigns import Run, RunStatus
from domain.esp_templates import Parts, Understood
from domain.templates import Content

# Nothing more of such a run is handed over.
_OVER = (
    *(RunStatus.STOPPED, RunStatus.PREVIEWED, RunStatus.REJECTED),
    *(RunStatus.DISPATCHED, RunStatus.SETTLED, RunStatus.CANCELLED),
)


class NotPinned(LookupError):
    """A run names a template that its ESP keeps, and no version of it is pinned yet: the run was not opened whole."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One version as it was read. `understood` is in our words; `content_hash` of the ESP's; `sent_by`: see the port."""

    account_id: str
    provider: str
    name: str
    template_id: str
    version_id: str
    sent_by: str | None
    content_hash: str
    local_hash: str | None
    understood: Understood
    recorded_at: datetime
    recorded_by: str


def record(connection: sa.Connection, version: Recorded) -> int:
    """Keep it, unless it is kept; the id of its row."""
    table = tables.esp_templates
    key = {
        "account_id": version.account_id,
        "provider": version.provider,
        "template_id": version.template_id,
        "version_id": version.version_id,
        "content_hash": version.content_hash,
    }
    connection.execute(
        database.insert(connection, table)
        .values(
            **key,
            name=version.name,
            sent_by=version.sent_by,
            local_hash=version.local_hash,
            parts=asdict(version.understood.parts),
            used=list(version.understood.used),
            fallbacks=dict(version.understood.fallbacks),
            recorded_at=version.recorded_at,
            recorded_by=version.recorded_by,
        )
        .on_conflict_do_nothing()
    )
    found: int = connection.execute(sa.select(table.c.id).filter_by(**key)).scalar_one()
    return found


def of_version(
    connection: sa.Connection, *, account_id: str, provider: str, template_id: str, version_id: str
) -> Recorded | None:
    """How this version was read last; None if it never was."""
    table = tables.esp_templates
    query = (
        sa.select(table)
        .filter_by(account_id=account_id, provider=provider, template_id=template_id, version_id=version_id)
        .order_by(table.c.id.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else _recorded(row)


def pin(connection: sa.Connection, run: Run, row_id: int, *, now: datetime) -> None:
    """From now on this is what the run sends. Who pins a second time changes nothing."""
    table = tables.pinned_templates
    connection.execute(
        database.insert(connection, table)
        .values(run_id=run.id, esp_template_id=row_id, pinned_at=now)
        .on_conflict_do_nothing()
    )


def of_run(connection: sa.Connection, run: Run) -> Recorded:
    """What the run has pinned. Raises NotPinned."""
    table, pinned = tables.esp_templates, tables.pinned_templates
    row = connection.execute(
        sa.select(table).join(pinned, pinned.c.esp_template_id == table.c.id).where(pinned.c.run_id == run.id)
    ).one_or_none()
    if row is None:
        raise NotPinned(f"run {run.id} has pinned no version of its template: start it anew")
    return _recorded(row)


def open_runs(connection: sa.Connection, *, account_id: str, provider: str, template_id: str) -> dict[str, list[str]]:
    """Version id → live runs that have pinned it and may still send."""
    table, pinned, run = tables.esp_templates.c, tables.pinned_templates, tables.campaign_runs.c
    rows = connection.execute(
        sa.select(table.version_id, run.id)
        .select_from(
            pinned.join(tables.esp_templates, table.id == pinned.c.esp_template_id).join(
                tables.campaign_runs, run.id == pinned.c.run_id
            )
        )
        .where(
            table.account_id == account_id,
            table.provider == provider,
            table.template_id == template_id,
            run.live,
            run.status.not_in([sa.literal(status) for status in _OVER]),
        )
        .order_by(run.created_at)
    )
    found: dict[str, list[str]] = {}
    for version_id, run_id in rows:
        found.setdefault(version_id, []).append(run_id)
    return found


def as_template(version: Recorded) -> content.Template:
    """The version as a local template would be, with our placeholders in their places."""
    parts = version.understood.parts
    return content.Template(
        name=version.name,
        title=version.name,
        description=f"kept at {version.provider}, version {version.version_id}",
        parts={"subject.txt": parts.subject, "body.html": parts.html, "body.txt": parts.text},
        used=version.understood.used,
        fallbacks=dict(version.understood.fallbacks),
    )


def as_content(version: Recorded, *, subject: str | None = None) -> Content:
    """What a run sends by it; `subject` where the ESP keeps none."""
    parts = version.understood.parts
    shown = Parts(subject or parts.subject, parts.html, parts.text)
    own = Parts(version.template_id, version.version_id, version.content_hash)
    return Content(
        name=version.name,
        subject=shown.subject,
        html=shown.html,
        text=shown.text,
        variables=tuple(name for name in version.understood.used if name not in variables.LINKS),
        hash=Parts(own.hash, shown.hash, "").hash,
        esp_template_id=version.sent_by,
    )


def lacks_way_out(parts: Parts) -> bool:
    """Whether a part that is sent offers no way to unsubscribe."""
    html, plain = templates.html_tag(variables.UNSUBSCRIBE_URL), templates.plain_tag(variables.UNSUBSCRIBE_URL)
    return (bool(parts.html) and html not in parts.html) or (bool(parts.text) and plain not in parts.text)


def _recorded(row: Any) -> Recorded:
    return Recorded(
        account_id=row.account_id,
        provider=row.provider,
        name=row.name,
        template_id=row.template_id,
        version_id=row.version_id,
        sent_by=row.sent_by,
        content_hash=row.content_hash,
        local_hash=row.local_hash,
        understood=Understood(Parts(**row.parts), tuple(row.used), row.fallbacks),
        recorded_at=row.recorded_at,
        recorded_by=row.recorded_by,
    )
