"""Postmark: mails in batches, an answer for each, and webhooks by HTTP's own password."""
