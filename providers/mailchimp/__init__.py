"""Mailchimp's two products: Marketing (lists and campaigns) and Transactional (once Mandrill)."""
