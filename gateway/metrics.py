"""What the gateway counts. One registry an app, so that two apps in one process do not share their counts."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, generate_latest


class Metrics:
    """The counters. Labels are words of ours, never a part of a request."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.webhook_stored = Counter(
            "oms_webhook_stored",
            "Webhook bodies answered with success; known: the same body had come before",
            ["provider", "known"],
            registry=self.registry,
        )
        self.webhook_refused = Counter(
            "oms_webhook_refused",
            "Webhook bodies that were not stored",
            ["provider", "reason"],
            registry=self.registry,
        )
        self.order_stored = Counter(
            "oms_order_stored",
            "Pushed orders answered with success; known: the same body had come before, or was a channel's test",
            ["channel", "known"],
            registry=self.registry,
        )
        self.order_refused = Counter(
            "oms_order_refused", "Pushed orders that were not stored", ["channel", "reason"], registry=self.registry
        )
        self.unsubscribed = Counter(
            "oms_unsubscribed",
            "Unsubscribe requests carried out, repetitions included",
            ["source"],
            registry=self.registry,
        )
        self.preferences = Counter(
            "oms_preferences",
            "Requests of the preference page that were carried out, repetitions included",
            ["action"],
            registry=self.registry,
        )


def router(metrics: Metrics) -> APIRouter:
    """GET /metrics, in Prometheus' words."""
    routes = APIRouter()

    @routes.get("/metrics")
    def show() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return routes
