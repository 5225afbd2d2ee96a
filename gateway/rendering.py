"""Pages from templates: gateway/templates through MiniJinja, everything escaped that a template inserts."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import minijinja
from fastapi.responses import HTMLResponse

from data.kpi_overview import Overview
from domain.accounts import Account
from domain.previews import Preview
from domain.reports import Audit, RunReport, RunSummary
from gateway import kpi_plots, kpi_views, plots, preview_plots, preview_views, texts, views

_FOLDER = Path(__file__).parent / "templates"


@lru_cache(maxsize=1)
def _environment() -> minijinja.Environment:
    return minijinja.Environment(
        loader=lambda name: (_FOLDER / name).read_text("utf-8"),
        undefined_behavior="strict",
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page(template: str, **values: Any) -> str:
    """Render one of our templates. `values` are plain: text, numbers, lists, dicts."""
    return _environment().render_template(template, **values)


def in_language(template: str, language: str, *, clicked: str | None = None, **values: Any) -> HTMLResponse:
    """Answer with a page of a customer, in one of the languages of gateway.texts.

    `clicked`: the language that the customer switched to, which links of the page keep. What is text among `values`, such
    as `shop`, is filled into the texts.
    """
    filled_in = {name: value for name, value in values.items() if isinstance(value, str)}
    rendered = page(
        template,
        t=texts.said(language, **filled_in),
        language=language,
        languages=list(texts.languages().items()),
        keep=f"?lang={language}" if clicked == language else "",
        **values,
    )
    return HTMLResponse(rendered, headers={"Content-Language": language})


def contact(account: Account | None) -> dict[str, str | None]:
    """How a customer reaches the shop, for `in_language`; None throughout where it is not known which shop is meant."""
    if account is None:
        return dict.fromkeys(("shop", "email", "post"))
    return {"shop": account.name, "email": account.sender_email, "post": account.postal_address}


def render_run(
    report: RunReport, *, audit: Audit | None = None, standalone: bool, live: dict[str, Any] | None = None
) -> str:
    """Render the page of one run, with styles and plots in it. Standalone: a file that links to nothing.

    `live`: the counters (live_views.page), which renew themselves where the page is not standalone.
    """
    provider_plot = timeline_plot = None
    if report.total.accepted and report.by_mailbox_provider:
        provider_plot = minijinja.Markup(plots.mailbox_providers(views.mailbox_providers(report)))
    if report.timeline:
        timeline_plot = minijinja.Markup(plots.timeline(report.timeline))
    return page(
        "run.html",
        run=views.page(report, audit),
        provider_plot=provider_plot,
        timeline_plot=timeline_plot,
        standalone=standalone,
        live=live,
    )


def render_live(live: dict[str, Any], *, still: bool) -> str:
    """Render the counters alone, which renew themselves unless they are to hold still."""
    return page("live.html", live=live, still=still)


def render_runs(runs: Sequence[RunSummary]) -> str:
    """Render the list of recent runs."""
    return page("runs.html", runs=[views.line(run) for run in runs])


def render_kpis(found: Overview) -> str:
    """Render an account's key figures, with the plot of its deliverability by day in it."""
    plot = minijinja.Markup(kpi_plots.deliverability(kpi_views.by_day(found))) if found.by_day else None
    return page("kpis.html", kpis=kpi_views.page(found), plot=plot)


def render_deliverability(shown: dict[str, Any]) -> str:
    """Render deliverability over time (trend_views.page); its plots are ours, and no text of anybody is in them."""
    for group in shown["groups"]:
        for chart in group["charts"]:
            chart["drawn"] = minijinja.Markup(chart["drawn"])
    return page("deliverability.html", page=shown)


def render_accounts(names: Sequence[str]) -> str:
    """Render the list of accounts whose key figures can be looked at."""
    return page("accounts.html", accounts=list(names))


def render_order(shown: dict[str, Any]) -> str:
    """Render the page of an order (order_views.page)."""
    return page("order.html", order=shown)


def render_lane(shown: dict[str, Any]) -> str:
    """Render the state of the transactional lane (lane_views.page); its plots are ours, and no text of anybody is in them."""
    for plot in shown["plots"]:
        plot["drawn"] = minijinja.Markup(plot["drawn"])
    return page("lane.html", lane=shown)


def render_preview(preview: Preview, *, standalone: bool) -> str:
    """Render the page of one preview, with styles and plots in it. Standalone: a file that links to nothing."""
    trend = minijinja.Markup(preview_plots.trend(preview.trend)) if len(preview.trend) > 1 else None
    return page(
        "preview.html",
        preview=preview_views.page(preview),
        trend_plot=trend,
        splits=[_split(preview, place) for place in range(len(preview.splits))],
        standalone=standalone,
    )


def _split(preview: Preview, place: int) -> dict[str, Any]:
    """Two stand side by side; the last of an odd number has the whole row."""
    one = preview_views.named(preview.splits[place])
    wide = place == len(preview.splits) - 1 and place % 2 == 0
    drawn = preview_plots.split(one, preview.members, preview.customers, wide=wide) if one.parts else None
    return {**preview_views.split(one, preview), "plot": drawn and minijinja.Markup(drawn), "wide": wide}


def render_message(title: str, text: str, *, back: bool) -> str:
    """Render a page that says one thing."""
    return page("message.html", title=title, text=text, back=back)
