"""Versions of templates that an ESP keeps, as we read them; and which one a run has pinned."""

import sqlalchemy as sa

from data.columns import Id, Json
from data.schema import base

# A row is never changed: a version that says something else now is another row.
esp_templates = sa.Table(
    "esp_templates",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    base.account(),
    base.text("provider"),
    base.text("name"),
    base.text("template_id"),  # the ESP's
    base.text("version_id"),  # the ESP's
    base.text("sent_by", required=False),  # what mail calls it by; NULL: its content travels with the mail
    base.text("content_hash"),  # of what the ESP told, in its own language
    base.text("local_hash", required=False),  # of the local template that it was made of, filled in; NULL: of none
    sa.Column("parts", Json, nullable=False),  # subject, html, text in our words
    sa.Column("used", Json, nullable=False),  # variables, in alphabetical order
    sa.Column("fallbacks", Json, nullable=False),
    base.at("recorded_at"),
    base.text("recorded_by"),
    sa.UniqueConstraint(
        "account_id", "provider", "template_id", "version_id", "content_hash", name="uq_esp_templates_version"
    ),
)

pinned_templates = sa.Table(
    "pinned_templates",
    base.metadata,
    base.run(primary_key=True),
    sa.Column("esp_template_id", sa.ForeignKey("esp_templates.id"), nullable=False, index=True),
    base.at("pinned_at"),
)
