"""Topics in notifications, which PostgreSQL bounds."""

from cumulet.store.postgres.hints import PAYLOAD_BYTES_MAX, payloads


def test_every_topic_is_told_once_in_payloads_that_fit() -> None:
    topics = {f"topic {number} " + "ü" * (number % 50) for number in range(2000)}
    told = payloads(topics | {"too long " * PAYLOAD_BYTES_MAX})
    assert sorted(topic for payload in told for topic in payload.split("\n")) == sorted(topics)
    assert all(len(payload.encode()) <= PAYLOAD_BYTES_MAX for payload in told)
    assert len(told) < 25
    assert payloads(set()) == []
