"""the first schema."""

import sqlalchemy as sa
from alembic import op

import data.columns

revision = '0001'
down_revision = None


def upgrade() -> None:

    op.create_table('accounts',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('currency', sa.Text(), nullable=False),
    sa.Column('timezone', sa.Text(), nullable=False),
    sa.Column('postal_address', sa.Text(), nullable=False),
    sa.Column('sender_email', sa.Text(), nullable=False),
    sa.Column('sender_name', sa.Text(), nullable=False),
    sa.Column('created_at', data.columns.Instant(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_accounts'))
    )
    op.create_table('audit_log',
    sa.Column('id', data.columns.Id, nullable=False),
    sa.Column('account_id', sa.Text(), nullable=True),
    sa.Column('at', data.columns.Instant(), nullable=False),
    sa.Column('actor', sa.Text(), nullable=False),
    sa.Column('action', sa.Text(), nullable=False),
    sa.Column('subject', sa.Text(), nullable=False),
    sa.Column('detail', data.columns.Json, nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audit_log'))
    )
    with op.batch_alter_table('audit_log', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_audit_log_subject'), ['subject'], unique=False)

    op.create_table('webhook_inbox',
    sa.Column('id', data.columns.Id, nullable=False),
    sa.Column('provider', sa.Text(), nullable=False),
    sa.Column('body_hash', sa.Text(), nullable=False),
    sa.Column('body', sa.LargeBinary(), nullable=False),
    sa.Column('received_at', data.columns.Instant(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('strikes', sa.Integer(), server_default='0', nullable=False),
    sa.Column('error', sa.Text(), nullable=True),
    sa.Column('processed_at', data.columns.Instant(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_webhook_inbox')),
    sa.UniqueConstraint('provider', 'body_hash', name=op.f('uq_webhook_inbox_provider_body_hash'))
    )
    with op.batch_alter_table('webhook_inbox', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_webhook_inbox_state_id'), ['state', 'id'], unique=False)

    op.create_table('campaigns',
    sa.Column('id', data.columns.Id, nullable=False),
    sa.Column('account_id', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('created_at', data.columns.Instant(), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_campaigns_account_id_accounts')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_campaigns')),
    sa.UniqueConstraint('account_id', 'name', name=op.f('uq_campaigns_account_id_name'))
    )
    op.create_table('dead_letters',
    sa.Column('id', data.columns.Id, nullable=False),
    sa.Column('account_id', sa.Text(), nullable=True),
    sa.Column('source', sa.Text(), nullable=False),
    sa.Column('location', sa.Text(), nullable=False),
    sa.Column('row_number', sa.Integer(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('payload', data.columns.Json, nullable=False),
    sa.Column('payload_hash', sa.Text(), nullable=False),
    sa.Column('priority', sa.Integer(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('created_at', data.columns.Instant(), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_dead_letters_account_id_accounts')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_dead_letters')),
    sa.UniqueConstraint('source', 'location', 'row_number', 'payload_hash', name=op.f('uq_dead_letters_source_location_row_number_payload_hash'))
    )
    op.create_table('delivery_events',
    sa.Column('id', data.columns.Id, nullable=False),
    sa.Column('inbox_id', data.columns.Id, nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('provider', sa.Text(), nullable=False),
    sa.Column('dedupe_key', sa.Text(), nullable=False),
    sa.Column('run_id', sa.Text(), nullable=True),
    sa.Column('ordinal', sa.Integer(), nullable=True),
    sa.Column('attempt_id', sa.Text(), nullable=True),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('occurred_at', data.columns.Instant(), nullable=False),
    sa.Column('bounce_class', sa.Text(), nullable=True),
    sa.Column('fault', sa.Text(), nullable=True),
    sa.Column('detail', sa.Text(), nullable=True),
    sa.Column('machine', sa.Boolean(), nullable=False),
    sa.Column('url', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['inbox_id'], ['webhook_inbox.id'], name=op.f('fk_delivery_events_inbox_id_webhook_inbox')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_delivery_events')),
    sa.UniqueConstraint('dedupe_key', name=op.f('uq_delivery_events_dedupe_key'))
    )
    with op.batch_alter_table('delivery_events', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_delivery_events_run_id_kind'), ['run_id', 'kind'], unique=False)

    op.create_table('feature_refreshes',
    sa.Column('id', data.columns.Id, nullable=False),
    sa.Column('account_id', sa.Text(), nullable=False),
    sa.Column('as_of', data.columns.Instant(), nullable=False),
    sa.Column('customers', sa.Integer(), server_default='0', nullable=False),
    sa.Column('orders', sa.Integer(), server_default='0', nullable=False),
    sa.Column('finished_at', data.columns.Instant(), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_feature_refreshes_account_id_accounts')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_feature_refreshes'))
    )
    op.create_table('intake_files',
    sa.Column('id', data.columns.Id, nullable=False),
    sa.Column('account_id', sa.Text(), nullable=False),
    sa.Column('channel', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('content_hash', sa.Text(), nullable=False),
    sa.Column('rows', sa.Integer(), server_default='0', nullable=False),
    sa.Column('loaded', sa.Integer(), server_default='0', nullable=False),
    sa.Column('unchanged', sa.Integer(), server_default='0', nullable=False),
    sa.Column('dead', sa.Integer(), server_default='0', nullable=False),
    sa.Column('loaded_at', data.columns.Instant(), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_intake_files_account_id_accounts')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_intake_files')),
    sa.UniqueConstraint('account_id', 'channel', 'content_hash', name=op.f('uq_intake_files_account_id_channel_content_hash'))
    )
    op.create_table('parties',
    sa.Column('id', data.columns.Id, nullable=False),
    sa.Column('account_id', sa.Text(), nullable=False),
    sa.Column('external_id', sa.Text(), nullable=False),
    sa.Column('email', sa.Text(), nullable=True),
    sa.Column('address_hash', sa.Text(), nullable=True),
    sa.Column('mailbox_provider', sa.Text(), nullable=True),
    sa.Column('first_name', sa.Text(), nullable=True),
    sa.Column('last_name', sa.Text(), nullable=True),
    sa.Column('country', sa.Text(), nullable=True),
    sa.Column('created_at', data.columns.Instant(), nullable=False),
    sa.Column('updated_at', data.columns.Instant(), nullable=False),
    sa.Column('erased_at', data.columns.Instant(), nullable=True),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_parties_account_id_accounts')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_parties')),
    sa.UniqueConstraint('account_id', 'external_id', name=op.f('uq_parties_account_id_external_id'))
    )
    with op.batch_alter_table('parties', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_parties_account_id_address_hash'), ['account_id', 'address_hash'], unique=False)

    op.create_table('suppressions',
    sa.Column('id', data.columns.Id, nullable=False),
    sa.Column('account_id', sa.Text(), nullable=False),
    sa.Column('address_hash', sa.Text(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('scope', sa.Text(), nullable=False),
    sa.Column('source', sa.Text(), nullable=False),
    sa.Column('evidence', sa.Text(), nullable=False),
    sa.Column('created_at', data.columns.Instant(), nullable=False),
    sa.Column('expires_at', data.columns.Instant(), nullable=True),
    sa.Column('lifted_at', data.columns.Instant(), nullable=True),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_suppressions_account_id_accounts')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_suppressions')),
    sa.UniqueConstraint('account_id', 'address_hash', 'reason', name=op.f('uq_suppressions_account_id_address_hash_reason'))
    )
    op.create_table('sync_cursors',
    sa.Column('provider', sa.Text(), nullable=False),
    sa.Column('account_id', sa.Text(), nullable=False),
    sa.Column('read_until', data.columns.Instant(), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_sync_cursors_account_id_accounts')),
    sa.PrimaryKeyConstraint('provider', 'account_id', name=op.f('pk_sync_cursors'))
    )
    op.create_table('campaign_runs',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('account_id', sa.Text(), nullable=False),
    sa.Column('campaign_id', data.columns.Id, nullable=False),
    sa.Column('flow_run_id', sa.Text(), nullable=True),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('live', sa.Boolean(), nullable=False),
    sa.Column('segment', sa.Text(), nullable=False),
    sa.Column('template', sa.Text(), nullable=False),
    sa.Column('provider', sa.Text(), nullable=False),
    sa.Column('subject', sa.Text(), nullable=True),
    sa.Column('sender_email', sa.Text(), nullable=False),
    sa.Column('sender_name', sa.Text(), nullable=False),
    sa.Column('reply_to', sa.Text(), nullable=True),
    sa.Column('audience_limit', sa.Integer(), nullable=True),
    sa.Column('holdout_percent', sa.Integer(), nullable=False),
    sa.Column('seed', sa.BigInteger(), nullable=False),
    sa.Column('definition_hash', sa.Text(), nullable=True),
    sa.Column('template_hash', sa.Text(), nullable=True),
    sa.Column('feature_watermark', data.columns.Instant(), nullable=True),
    sa.Column('validation', data.columns.Json, nullable=True),
    sa.Column('members', sa.Integer(), nullable=True),
    sa.Column('planned', sa.Integer(), nullable=True),
    sa.Column('skipped', data.columns.Json, nullable=True),
    sa.Column('stop_reason', sa.Text(), nullable=True),
    sa.Column('created_at', data.columns.Instant(), nullable=False),
    sa.Column('frozen_at', data.columns.Instant(), nullable=True),
    sa.Column('dispatch_started_at', data.columns.Instant(), nullable=True),
    sa.Column('dispatched_at', data.columns.Instant(), nullable=True),
    sa.Column('settled_at', data.columns.Instant(), nullable=True),
    sa.Column('expires_at', data.columns.Instant(), nullable=True),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_campaign_runs_account_id_accounts')),
    sa.ForeignKeyConstraint(['campaign_id'], ['campaigns.id'], name=op.f('fk_campaign_runs_campaign_id_campaigns')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_campaign_runs')),
    sa.UniqueConstraint('flow_run_id', name=op.f('uq_campaign_runs_flow_run_id'))
    )
    with op.batch_alter_table('campaign_runs', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_campaign_runs_account_id_created_at'), ['account_id', 'created_at'], unique=False)

    op.create_table('consents',
    sa.Column('id', data.columns.Id, nullable=False),
    sa.Column('account_id', sa.Text(), nullable=False),
    sa.Column('party_id', data.columns.Id, nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('basis', sa.Text(), nullable=False),
    sa.Column('source', sa.Text(), nullable=False),
    sa.Column('wording', sa.Text(), nullable=False),
    sa.Column('occurred_at', data.columns.Instant(), nullable=False),
    sa.Column('recorded_at', data.columns.Instant(), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_consents_account_id_accounts')),
    sa.ForeignKeyConstraint(['party_id'], ['parties.id'], name=op.f('fk_consents_party_id_parties')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_consents')),
    sa.UniqueConstraint('party_id', 'occurred_at', 'status', 'source', name=op.f('uq_consents_party_id_occurred_at_status_source'))
    )
    op.create_table('customer_features',
    sa.Column('party_id', data.columns.Id, nullable=False),
    sa.Column('account_id', sa.Text(), nullable=False),
    sa.Column('orders', sa.Integer(), nullable=False),
    sa.Column('orders_30d', sa.Integer(), nullable=False),
    sa.Column('orders_90d', sa.Integer(), nullable=False),
    sa.Column('orders_365d', sa.Integer(), nullable=False),
    sa.Column('net_revenue', data.columns.Money(), nullable=False),
    sa.Column('average_order_value', data.columns.Money(), nullable=False),
    sa.Column('refund_rate', sa.Float(), nullable=False),
    sa.Column('first_order_at', data.columns.Instant(), nullable=False),
    sa.Column('last_order_at', data.columns.Instant(), nullable=False),
    sa.Column('days_since_first_order', sa.Integer(), nullable=False),
    sa.Column('days_since_last_order', sa.Integer(), nullable=False),
    sa.Column('mean_days_between_orders', sa.Float(), nullable=True),
    sa.Column('favourite_category', sa.Text(), nullable=True),
    sa.Column('country', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_customer_features_account_id_accounts')),
    sa.ForeignKeyConstraint(['party_id'], ['parties.id'], name=op.f('fk_customer_features_party_id_parties')),
    sa.PrimaryKeyConstraint('party_id', name=op.f('pk_customer_features'))
    )
    with op.batch_alter_table('customer_features', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_customer_features_account_id'), ['account_id'], unique=False)

    op.create_table('orders',
    sa.Column('id', data.columns.Id, nullable=False),
    sa.Column('account_id', sa.Text(), nullable=False),
    sa.Column('channel', sa.Text(), nullable=False),
    sa.Column('external_id', sa.Text(), nullable=False),
    sa.Column('party_id', data.columns.Id, nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('channel_status', sa.Text(), nullable=False),
    sa.Column('currency', sa.Text(), nullable=False),
    sa.Column('total', data.columns.Money(), nullable=False),
    sa.Column('refunded', data.columns.Money(), nullable=False),
    sa.Column('placed_at', data.columns.Instant(), nullable=False),
    sa.Column('updated_at', data.columns.Instant(), nullable=False),
    sa.Column('cancelled_at', data.columns.Instant(), nullable=True),
    sa.Column('is_test', sa.Boolean(), nullable=False),
    sa.Column('content_hash', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_orders_account_id_accounts')),
    sa.ForeignKeyConstraint(['party_id'], ['parties.id'], name=op.f('fk_orders_party_id_parties')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_orders')),
    sa.UniqueConstraint('account_id', 'channel', 'external_id', name=op.f('uq_orders_account_id_channel_external_id'))
    )
    with op.batch_alter_table('orders', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_orders_party_id_placed_at'), ['party_id', 'placed_at'], unique=False)

    op.create_table('audience',
    sa.Column('run_id', sa.Text(), nullable=False),
    sa.Column('party_id', data.columns.Id, nullable=False),
    sa.Column('ordinal', sa.Integer(), nullable=True),
    sa.Column('skip_reason', sa.Text(), nullable=True),
    sa.CheckConstraint('(ordinal IS NULL) <> (skip_reason IS NULL)', name='planned_or_skipped'),
    sa.ForeignKeyConstraint(['party_id'], ['parties.id'], name=op.f('fk_audience_party_id_parties')),
    sa.ForeignKeyConstraint(['run_id'], ['campaign_runs.id'], name=op.f('fk_audience_run_id_campaign_runs')),
    sa.PrimaryKeyConstraint('run_id', 'party_id', name=op.f('pk_audience')),
    sa.UniqueConstraint('run_id', 'ordinal', name=op.f('uq_audience_run_id_ordinal'))
    )
    with op.batch_alter_table('audience', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_audience_party_id'), ['party_id'], unique=False)

    op.create_table('batches',
    sa.Column('id', data.columns.Id, nullable=False),
    sa.Column('run_id', sa.Text(), nullable=False),
    sa.Column('first_ordinal', sa.Integer(), nullable=False),
    sa.Column('last_ordinal', sa.Integer(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('attempts', sa.Integer(), server_default='0', nullable=False),
    sa.Column('not_before', data.columns.Instant(), nullable=True),
    sa.Column('worker', sa.Text(), nullable=True),
    sa.Column('attempt_id', sa.Text(), nullable=True),
    sa.Column('lease_expires_at', data.columns.Instant(), nullable=True),
    sa.Column('finished_at', data.columns.Instant(), nullable=True),
    sa.ForeignKeyConstraint(['run_id'], ['campaign_runs.id'], name=op.f('fk_batches_run_id_campaign_runs')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_batches')),
    sa.UniqueConstraint('run_id', 'first_ordinal', 'last_ordinal', name=op.f('uq_batches_run_id_first_ordinal_last_ordinal'))
    )
    with op.batch_alter_table('batches', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_batches_run_id_state'), ['run_id', 'state'], unique=False)

    op.create_table('campaign_kpis',
    sa.Column('run_id', sa.Text(), nullable=False),
    sa.Column('computed_at', data.columns.Instant(), nullable=False),
    sa.Column('figures', data.columns.Json, nullable=False),
    sa.ForeignKeyConstraint(['run_id'], ['campaign_runs.id'], name=op.f('fk_campaign_kpis_run_id_campaign_runs')),
    sa.PrimaryKeyConstraint('run_id', 'computed_at', name=op.f('pk_campaign_kpis'))
    )
    op.create_table('message_delivery',
    sa.Column('run_id', sa.Text(), nullable=False),
    sa.Column('ordinal', sa.Integer(), nullable=False),
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
    sa.ForeignKeyConstraint(['run_id'], ['campaign_runs.id'], name=op.f('fk_message_delivery_run_id_campaign_runs')),
    sa.PrimaryKeyConstraint('run_id', 'ordinal', name=op.f('pk_message_delivery'))
    )
    op.create_table('message_exceptions',
    sa.Column('run_id', sa.Text(), nullable=False),
    sa.Column('ordinal', sa.Integer(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('created_at', data.columns.Instant(), nullable=False),
    sa.ForeignKeyConstraint(['run_id'], ['campaign_runs.id'], name=op.f('fk_message_exceptions_run_id_campaign_runs')),
    sa.PrimaryKeyConstraint('run_id', 'ordinal', name=op.f('pk_message_exceptions'))
    )
    op.create_table('order_lines',
    sa.Column('order_id', data.columns.Id, nullable=False),
    sa.Column('line_no', sa.Integer(), nullable=False),
    sa.Column('sku', sa.Text(), nullable=False),
    sa.Column('title', sa.Text(), nullable=True),
    sa.Column('category', sa.Text(), nullable=True),
    sa.Column('quantity', sa.Integer(), nullable=False),
    sa.Column('total', data.columns.Money(), nullable=False),
    sa.ForeignKeyConstraint(['order_id'], ['orders.id'], name=op.f('fk_order_lines_order_id_orders')),
    sa.PrimaryKeyConstraint('order_id', 'line_no', name=op.f('pk_order_lines'))
    )
    op.create_table('batch_attempts',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('batch_id', data.columns.Id, nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('worker', sa.Text(), nullable=False),
    sa.Column('provider', sa.Text(), nullable=False),
    sa.Column('content_hash', sa.Text(), nullable=False),
    sa.Column('messages', sa.Integer(), nullable=False),
    sa.Column('claimed_at', data.columns.Instant(), nullable=False),
    sa.Column('finished_at', data.columns.Instant(), nullable=True),
    sa.Column('outcome', sa.Text(), nullable=True),
    sa.Column('status_code', sa.Integer(), nullable=True),
    sa.Column('provider_reference', sa.Text(), nullable=True),
    sa.Column('detail', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['batch_id'], ['batches.id'], name=op.f('fk_batch_attempts_batch_id_batches')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_batch_attempts')),
    sa.UniqueConstraint('batch_id', 'number', name=op.f('uq_batch_attempts_batch_id_number'))
    )
    with op.batch_alter_table('batch_attempts', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_batch_attempts_batch_id'), ['batch_id'], unique=False)

    op.create_table('batch_proofs',
    sa.Column('id', data.columns.Id, nullable=False),
    sa.Column('batch_id', data.columns.Id, nullable=False),
    sa.Column('attempt_id', sa.Text(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('detail', sa.Text(), nullable=False),
    sa.Column('created_at', data.columns.Instant(), nullable=False),
    sa.ForeignKeyConstraint(['batch_id'], ['batches.id'], name=op.f('fk_batch_proofs_batch_id_batches')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_batch_proofs')),
    sa.UniqueConstraint('attempt_id', 'kind', name=op.f('uq_batch_proofs_attempt_id_kind'))
    )



def downgrade() -> None:

    op.drop_table('batch_proofs')
    with op.batch_alter_table('batch_attempts', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_batch_attempts_batch_id'))

    op.drop_table('batch_attempts')
    op.drop_table('order_lines')
    op.drop_table('message_exceptions')
    op.drop_table('message_delivery')
    op.drop_table('campaign_kpis')
    with op.batch_alter_table('batches', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_batches_run_id_state'))

    op.drop_table('batches')
    with op.batch_alter_table('audience', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_audience_party_id'))

    op.drop_table('audience')
    with op.batch_alter_table('orders', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_orders_party_id_placed_at'))

    op.drop_table('orders')
    with op.batch_alter_table('customer_features', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_customer_features_account_id'))

    op.drop_table('customer_features')
    op.drop_table('consents')
    with op.batch_alter_table('campaign_runs', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_campaign_runs_account_id_created_at'))

    op.drop_table('campaign_runs')
    op.drop_table('sync_cursors')
    op.drop_table('suppressions')
    with op.batch_alter_table('parties', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_parties_account_id_address_hash'))

    op.drop_table('parties')
    op.drop_table('intake_files')
    op.drop_table('feature_refreshes')
    with op.batch_alter_table('delivery_events', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_delivery_events_run_id_kind'))

    op.drop_table('delivery_events')
    op.drop_table('dead_letters')
    op.drop_table('campaigns')
    with op.batch_alter_table('webhook_inbox', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_webhook_inbox_state_id'))

    op.drop_table('webhook_inbox')
    with op.batch_alter_table('audit_log', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_audit_log_subject'))

    op.drop_table('audit_log')
    op.drop_table('accounts')

