"""How mail leaves: pools, what limits them, how the ESPs fare, and what holds a group of mailboxes back."""

import sqlalchemy as sa

from data.columns import Id, Instant, Json
from data.schema import base
from domain.suppression import Stream

# A pool belongs to one stream for ever. What leaves through it says its stream too, and the pair must be this one:
# so marketing cannot leave through the transactional pool, whatever a file or a program says.
pools = sa.Table(
    "pools",
    base.metadata,
    sa.Column("account_id", sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    base.text("stream"),
    base.at("created_at"),
    sa.UniqueConstraint("account_id", "name", "stream"),
    sa.CheckConstraint(f"stream IN ({', '.join(repr(str(one)) for one in Stream)})", name="known_stream"),
)

# By which way an attempt went, and why that one: what routing knew, so that the choice can be made again.
attempt_routes = sa.Table(
    "attempt_routes",
    base.metadata,
    sa.Column("attempt_id", sa.ForeignKey("batch_attempts.id"), primary_key=True),
    base.account(),
    base.text("route"),
    base.text("provider"),
    base.text("pool"),
    base.text("stream"),
    base.text("mailbox_group"),
    sa.Column("decision", Json, nullable=False),
    base.text("schedule_id", required=False),  # the ESP's name for what can still be cancelled
    base.at("send_at", required=False),  # when the ESP is to let it go; NULL: at once
    base.text("domain", required=False),  # that it was sent from; NULL: that of the run
    sa.ForeignKeyConstraint(
        ["account_id", "pool", "stream"],
        ["pools.account_id", "pools.name", "pools.stream"],
        name="fk_attempt_routes_pool_pools",
    ),
)

# The tokens of a bucket as of an instant; rate and size are those of the routes file and may change any time.
buckets = sa.Table(
    "buckets",
    base.metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("tokens", sa.Float, nullable=False),
    base.at("at"),
    base.at("blocked_until", required=False),  # the other side's own word, such as Retry-After
)

# How an ESP fares: the breaker and the adaptive concurrency of its provider x stream.
provider_states = sa.Table(
    "provider_states",
    base.metadata,
    sa.Column("provider", sa.Text, primary_key=True),
    sa.Column("stream", sa.Text, primary_key=True),
    base.text("breaker"),
    base.count("failures"),
    base.count("unknowns"),
    base.count("openings"),
    base.at("probe_at", required=False),
    sa.Column("concurrency", sa.Float, nullable=False),
    sa.Column("latency", sa.Float, nullable=True),  # seconds that an answer usually takes
    base.text("reason", required=False),
    base.at("changed_at"),
)

# One row a request that is under way or about to begin: what several workers count by. A dead worker's runs out.
slots = sa.Table(
    "slots",
    base.metadata,
    sa.Column("id", sa.Text, primary_key=True),
    base.text("provider"),
    base.text("stream"),
    base.at("expires_at"),
    sa.Index(None, "provider"),
)

# What was handed over, by hour: warm-up, idleness, and what is usual.
pool_volumes = sa.Table(
    "pool_volumes",
    base.metadata,
    sa.Column("account_id", sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("pool", sa.Text, primary_key=True),
    sa.Column("mailbox_group", sa.Text, primary_key=True),
    sa.Column("hour", Instant, primary_key=True),
    base.count("messages"),
)

warmups = sa.Table(
    "warmups",
    base.metadata,
    sa.Column("account_id", sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("pool", sa.Text, primary_key=True),
    sa.Column("mailbox_group", sa.Text, primary_key=True),
    sa.Column("day", sa.Integer, nullable=False),
    base.at("day_began_at"),
    base.at("last_sent_at", required=False),
    base.at("trouble_at", required=False),
)

# What slows (factor between 0 and 1) or stops (0) a mailbox group: of one run, or of the whole account (run NULL); by
# one provider only, or (provider NULL) whoever sends.
brakes = sa.Table(
    "brakes",
    base.metadata,
    sa.Column("id", Id, primary_key=True),
    base.account(),
    sa.Column("run_id", sa.ForeignKey("campaign_runs.id"), nullable=True),
    base.text("mailbox_group"),
    sa.Column("factor", sa.Float, nullable=False),
    base.text("reason"),
    sa.Column("figures", Json, nullable=False),
    base.at("set_at"),
    base.at("until", required=False),  # NULL: until a person lifts it
    base.at("lifted_at", required=False),
    base.text("lifted_by", required=False),
    base.text("provider", required=False),
    sa.Index(None, "account_id", "lifted_at"),
)

# Which mailbox provider stands behind a domain, by its MX.
mail_domains = sa.Table(
    "mail_domains",
    base.metadata,
    sa.Column("domain", sa.Text, primary_key=True),
    base.text("mailbox_group"),
    base.text("source"),  # table, mx, none
    base.at("looked_up_at"),
)

# A mail to the shop's own mailbox that shows whether a pool still delivers and its events still come.
seed_messages = sa.Table(
    "seed_messages",
    base.metadata,
    sa.Column("id", sa.Text, primary_key=True),
    base.account(),
    base.text("provider"),
    base.text("pool"),
    base.text("stream"),
    base.at("sent_at"),
    base.text("outcome", required=False),
    base.text("detail", required=False),
    base.at("confirmed_at", required=False),
    sa.Index(None, "account_id", "sent_at"),
)

# Which installation this database belongs to: a copy of it must not mail anybody.
installation = sa.Table(
    "installation",
    base.metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    base.text("environment"),
    base.text("fingerprint"),
    base.at("claimed_at"),
    base.text("claimed_by"),
)

# What an account's own record says of it, and so which pools it may use.
vettings = sa.Table(
    "vettings",
    base.metadata,
    sa.Column("account_id", sa.ForeignKey("accounts.id"), primary_key=True),
    base.text("standing"),
    sa.Column("figures", Json, nullable=False),
    base.at("judged_at"),
    base.text("decided_by", required=False),  # a person who said otherwise
)
