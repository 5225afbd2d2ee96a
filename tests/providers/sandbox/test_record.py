"""The audit's question to a running sandbox."""

import pytest

from providers.sandbox import record


def test_it_tells_how_often_each_message_was_accepted(esp, campaign):
    esp.send(campaign(2, run="one"))
    esp.send(campaign(1, run="one"))
    asked = record.SandboxRecord(esp.url, "SG.test-key")
    assert asked.accepted("one") == {"one.0": 2, "one.1": 1}
    assert asked.accepted("other") == {}


def test_a_sandbox_that_is_down_is_no_evidence(esp):
    esp.stop()
    with pytest.raises(record.RecordUnavailable, match="is it running"):
        record.SandboxRecord(esp.url, "SG.test-key").accepted("one")
