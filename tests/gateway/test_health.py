"""Health and metrics."""

import pytest
import sqlalchemy as sa

from data import database, migrate
from gateway.app import create_app


def test_healthy_is_a_store_that_answers_with_the_newest_schema(gateway):
    answer = gateway.get("/health")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "schema": migrate.newest()}


@pytest.mark.parametrize("revision", ["0000", None])
def test_another_schema_is_ill_and_says_what_to_do(gateway, engine, revision):
    with database.write(engine) as connection:
        if revision is None:
            connection.exec_driver_sql("DELETE FROM alembic_version")
        else:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
    answer = gateway.get("/health")
    assert answer.status_code == 503
    assert "campaigns migrate" in answer.json()["detail"]


def test_a_store_that_does_not_answer_is_ill(serve, make_settings, tmp_path):
    settings = make_settings()
    settings.database.url = f"postgresql://nobody@/nothing?host={tmp_path}"
    answer = serve(create_app(settings)).get("/health")
    assert answer.status_code == 503
    assert answer.json()["detail"] == "the database does not answer"


def test_two_gateways_in_one_process_count_for_themselves(serve, make_settings):
    one, other = serve(create_app(make_settings())), serve(create_app(make_settings()))
    one.post("/webhooks/sendgrid", content=b"[]")
    assert 'oms_webhook_refused_total{provider="sendgrid",reason="signature"} 1.0' in one.get("/metrics").text
    assert "signature" not in other.get("/metrics").text
