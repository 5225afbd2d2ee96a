"""Plain mail: what comes back by SMTP or lies in a mailbox, as delivery events."""
