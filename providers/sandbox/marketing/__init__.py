"""Mailchimp Marketing 3.0 as the sandbox plays it: one audience, its members' states, campaigns, reports, webhooks."""
