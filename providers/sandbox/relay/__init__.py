"""The sandbox as an SMTP relay: it takes mail, refuses some, and returns bounces and complaints as mail."""
