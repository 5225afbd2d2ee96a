"""Mailchimp Transactional's (once Mandrill's) end points of the sandbox ESP, below /mandrill/api/1.0."""
