"""Each way of the SMTP benchmark brings all mails, so that what is measured is the same work."""

from benchmarks import smtp, smtp_sink

MAILS = 120  # more than a batch


def test_each_way_brings_all() -> None:
    some = smtp.batches(MAILS)
    for latency_ms in (0.0, 0.5):  # smtp-sink where it is, and ours
        with smtp_sink.running(latency_ms) as (port, _):
            assert {name: way() for name, way in smtp.ways(port, some).items()} == dict.fromkeys(
                smtp.ways(port, some), MAILS
            )
