"""An ESP of our own that delivers to nobody: a real server process with SendGrid's endpoints and faults on demand."""
