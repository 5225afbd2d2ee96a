"""What the gateway counts. One registry an app, so that two apps in one process do not share their counts."""

import math
from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from data import database, dispatchers, inbox, lane_figures, unplaced
from data.inbox import BodyState
from domain.transactional import Urgency

_SHOWN = (BodyState.PENDING, BodyState.DEAD)


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
        self.applied_after = Histogram(
            "oms_webhook_applied_seconds",
            "From the receipt of a webhook body to its suppressions in force",
            buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600),
            registry=self.registry,
        )
        self.bodies = Gauge(
            "oms_webhook_bodies",
            "Webhook bodies that wait to be read (pending), and those that could not be (dead)",
            ["state"],
            registry=self.registry,
        )
        self.waiting = Gauge(
            "oms_delivery_events_waiting",
            "Delivery events whose message is not known yet, and which are tried again",
            registry=self.registry,
        )
        self.lane_open = Gauge(
            "oms_lane_open",
            "Transactional messages that are neither sent nor given up, by urgency",
            ["urgency"],
            registry=self.registry,
        )
        self.lane_oldest = Gauge(
            "oms_lane_oldest_due_seconds",
            "How long the oldest transactional message waits that is due, by urgency; 0: none is",
            ["urgency"],
            registry=self.registry,
        )
        self.dispatchers = Gauge(
            "oms_dispatchers", "Dispatchers that said so lately that they are at work", registry=self.registry
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
        self.message_asked = Counter(
            "oms_message_asked",
            "Transactional messages asked for over HTTP and kept; replayed: the same request had come before",
            ["replayed"],
            registry=self.registry,
        )
        self.message_refused = Counter(
            "oms_message_refused",
            "Requests below /messages that were answered by a problem, by its kind",
            ["kind"],
            registry=self.registry,
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


def router(metrics: Metrics, engine: sa.Engine, clock: Callable[[], datetime]) -> APIRouter:
    """GET /metrics, in Prometheus' words. What waits is counted in the store: it is the same for all gateways."""
    routes = APIRouter()

    @routes.get("/metrics")
    def show() -> Response:
        counts: dict[str, float] = {}
        try:
            with database.read(engine) as connection:
                counts |= inbox.counts(connection)
                waiting: float = unplaced.waiting(connection)
        except sa.exc.SQLAlchemyError:  # then the counters alone are told, and no number that is none
            waiting = math.nan
            counts |= dict.fromkeys(_SHOWN, math.nan)
        for state in _SHOWN:
            metrics.bodies.labels(state).set(counts.get(state, 0))
        metrics.waiting.set(waiting)
        _show_lane(metrics, engine, clock())
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return routes


def _show_lane(metrics: Metrics, engine: sa.Engine, now: datetime) -> None:
    """What waits in the transactional lane: it reads the open messages' own indexes."""
    try:
        with database.read(engine) as connection:
            backlog = lane_figures.backlog(connection, now=now)
            alive: float = len(dispatchers.alive(connection, now))
    except sa.exc.SQLAlchemyError:
        backlog, alive = {}, math.nan
    for urgency in Urgency:
        one, name = backlog.get(urgency), urgency.name.lower()
        since = one.oldest_due if one is not None else None
        metrics.lane_open.labels(name).set(one.open if one is not None else math.nan)
        idle = 0.0 if one is not None else math.nan
        metrics.lane_oldest.labels(name).set((now - since).total_seconds() if since is not None else idle)
    metrics.dispatchers.set(alive)
