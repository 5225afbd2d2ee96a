"""Transactional mail: messages, attempts, proofs; keys of the HTTP API; who hands it over."""

import sqlalchemy as sa
from alembic import op

import data.columns

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table('dispatchers',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('started_at', data.columns.Instant(), nullable=False),
    sa.Column('seen_at', data.columns.Instant(), nullable=False),
    sa.PrimaryKeyConstraint('id', name='pk_dispatchers')
    )
    op.create_table('api_keys',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('account_id', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('key_hash', sa.Text(), nullable=False),
    sa.Column('scopes', data.columns.Json, nullable=False),
    sa.Column('per_minute', sa.Integer(), nullable=False),
    sa.Column('created_at', data.columns.Instant(), nullable=False),
    sa.Column('created_by', sa.Text(), nullable=False),
    sa.Column('revoked_at', data.columns.Instant(), nullable=True),
    sa.Column('last_used_at', data.columns.Instant(), nullable=True),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name='fk_api_keys_account_id_accounts'),
    sa.PrimaryKeyConstraint('id', name='pk_api_keys'),
    sa.UniqueConstraint('account_id', 'name', name='uq_api_keys_account_id_name'),
    sa.UniqueConstraint('key_hash', name='uq_api_keys_key_hash')
    )
    op.create_table('transactional_messages',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('account_id', sa.Text(), nullable=False),
    sa.Column('template', sa.Text(), nullable=False),
    sa.Column('urgency', sa.SmallInteger(), nullable=False),
    sa.Column('asked_by', sa.Text(), nullable=False),
    sa.Column('order_id', data.columns.Id, nullable=True),
    sa.Column('step', sa.Text(), nullable=True),
    sa.Column('reference', sa.Text(), nullable=True),
    sa.Column('email', sa.Text(), nullable=True),
    sa.Column('address_hash', sa.Text(), nullable=True),
    sa.Column("sent_to", sa.Text(), nullable=True),
    sa.Column('mailbox_group', sa.Text(), nullable=True),
    sa.Column('variables', data.columns.Json, nullable=True),
    sa.Column('locale', sa.Text(), nullable=True),
    sa.Column('only_route', sa.Text(), nullable=True),
    sa.Column('again_of', sa.Text(), nullable=True),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('why', sa.Text(), nullable=True),
    sa.Column('asked_at', data.columns.Instant(), nullable=False),
    sa.Column('expires_at', data.columns.Instant(), nullable=False),
    sa.Column('not_before', data.columns.Instant(), nullable=False),
    sa.Column('attempts', sa.Integer(), server_default='0', nullable=False),
    sa.Column('resent', sa.Boolean(), server_default=sa.false(), nullable=False),
    sa.Column('worker', sa.Text(), nullable=True),
    sa.Column('attempt_id', sa.Text(), nullable=True),
    sa.Column('lease_expires_at', data.columns.Instant(), nullable=True),
    sa.Column('last_provider', sa.Text(), nullable=True),
    sa.Column('finished_at', data.columns.Instant(), nullable=True),
    sa.Column('accepted_at', data.columns.Instant(), nullable=True),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name='fk_transactional_messages_account_id_accounts'),
    sa.ForeignKeyConstraint(['order_id'], ['orders.id'], name='fk_transactional_messages_order_id_orders'),
    sa.PrimaryKeyConstraint('id', name='pk_transactional_messages')
    )
    op.create_index('ix_transactional_messages_account_id_address_hash', 'transactional_messages', ['account_id', 'address_hash'], unique=False)
    op.create_index('ix_transactional_messages_account_id_asked_at', 'transactional_messages', ['account_id', 'asked_at'], unique=False)
    op.create_index('ix_transactional_messages_attempt_id', 'transactional_messages', ['attempt_id'], unique=False)
    op.create_index('ix_transactional_messages_order_id', 'transactional_messages', ['order_id'], unique=False)
    op.create_index('ix_transactional_messages_expires_at', 'transactional_messages', ['expires_at'], unique=False, sqlite_where=sa.text("state = 'planned'"), postgresql_where=sa.text("state = 'planned'"))
    op.create_index('ix_transactional_messages_finished_at', 'transactional_messages', ['finished_at'], unique=False, sqlite_where=sa.text("state = 'unknown'"), postgresql_where=sa.text("state = 'unknown'"))
    op.create_index('ix_transactional_messages_lease_expires_at', 'transactional_messages', ['lease_expires_at'], unique=False, sqlite_where=sa.text("state = 'inflight'"), postgresql_where=sa.text("state = 'inflight'"))
    op.create_index('ix_transactional_messages_urgency_account_id_not_before', 'transactional_messages', ['urgency', 'account_id', 'not_before'], unique=False, sqlite_where=sa.text("state = 'planned'"), postgresql_where=sa.text("state = 'planned'"))
    op.create_table('idempotency_keys',
    sa.Column('account_id', sa.Text(), nullable=False),
    sa.Column('key_hash', sa.Text(), nullable=False),
    sa.Column('body_hash', sa.Text(), nullable=False),
    sa.Column('message_id', sa.Text(), nullable=False),
    sa.Column('created_at', data.columns.Instant(), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name='fk_idempotency_keys_account_id_accounts'),
    sa.ForeignKeyConstraint(['message_id'], ['transactional_messages.id'], name='fk_idempotency_keys_message_id_transactional_messages'),
    sa.PrimaryKeyConstraint('account_id', 'key_hash', name='pk_idempotency_keys')
    )
    op.create_index('ix_idempotency_keys_created_at', 'idempotency_keys', ['created_at'], unique=False)
    op.create_table('transactional_attempts',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('message_id', sa.Text(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('worker', sa.Text(), nullable=False),
    sa.Column('account_id', sa.Text(), nullable=False),
    sa.Column('provider', sa.Text(), nullable=False),
    sa.Column('route', sa.Text(), nullable=False),
    sa.Column('pool', sa.Text(), nullable=False),
    sa.Column('stream', sa.Text(), nullable=False),
    sa.Column('domain', sa.Text(), nullable=False),
    sa.Column('decision', data.columns.Json, nullable=False),
    sa.Column('content_hash', sa.Text(), nullable=False),
    sa.Column('claimed_at', data.columns.Instant(), nullable=False),
    sa.Column('finished_at', data.columns.Instant(), nullable=True),
    sa.Column('outcome', sa.Text(), nullable=True),
    sa.Column('status_code', sa.Integer(), nullable=True),
    sa.Column('provider_reference', sa.Text(), nullable=True),
    sa.Column('detail', sa.Text(), nullable=True),
    sa.CheckConstraint("stream = 'transactional'", name='waited_for'),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name='fk_transactional_attempts_account_id_accounts'),
    sa.ForeignKeyConstraint(['account_id', 'pool', 'stream'], ['pools.account_id', 'pools.name', 'pools.stream'], name='fk_transactional_attempts_pool_pools'),
    sa.ForeignKeyConstraint(['message_id'], ['transactional_messages.id'], name='fk_transactional_attempts_message_id_transactional_messages'),
    sa.PrimaryKeyConstraint('id', name='pk_transactional_attempts'),
    sa.UniqueConstraint('message_id', 'number', name='uq_transactional_attempts_message_id_number')
    )
    op.create_index('ix_transactional_attempts_message_id', 'transactional_attempts', ['message_id'], unique=False)
    op.create_table('transactional_delivery',
    sa.Column('message_id', sa.Text(), nullable=False),
    sa.Column('seen', sa.Integer(), nullable=False),
    sa.Column('severity', sa.Integer(), nullable=False),
    sa.Column('fault', sa.Text(), nullable=True),
    sa.Column('delivered_at', data.columns.Instant(), nullable=True),
    sa.Column('bounced_at', data.columns.Instant(), nullable=True),
    sa.Column('opened_at', data.columns.Instant(), nullable=True),
    sa.Column('human_opened_at', data.columns.Instant(), nullable=True),
    sa.Column('clicked_at', data.columns.Instant(), nullable=True),
    sa.Column('complained_at', data.columns.Instant(), nullable=True),
    sa.Column('unsubscribed_at', data.columns.Instant(), nullable=True),
    sa.ForeignKeyConstraint(['message_id'], ['transactional_messages.id'], name='fk_transactional_delivery_message_id_transactional_messages'),
    sa.PrimaryKeyConstraint('message_id', name='pk_transactional_delivery')
    )
    op.create_table('transactional_proofs',
    sa.Column('id', data.columns.Id, nullable=False),
    sa.Column('message_id', sa.Text(), nullable=False),
    sa.Column('attempt_id', sa.Text(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('detail', sa.Text(), nullable=False),
    sa.Column('created_at', data.columns.Instant(), nullable=False),
    sa.ForeignKeyConstraint(['message_id'], ['transactional_messages.id'], name='fk_transactional_proofs_message_id_transactional_messages'),
    sa.PrimaryKeyConstraint('id', name='pk_transactional_proofs'),
    sa.UniqueConstraint('attempt_id', 'kind', name='uq_transactional_proofs_attempt_id_kind')
    )


def downgrade() -> None:
    op.drop_table("transactional_proofs")
    op.drop_table("transactional_delivery")
    op.drop_table("transactional_attempts")
    op.drop_table("idempotency_keys")
    op.drop_table("transactional_messages")
    op.drop_table("api_keys")
    op.drop_table("dispatchers")
