"""One step that may be retried alone: wire, call, log, return something small."""
