"""The live counters of a run in Prefect: one artifact a run, renewed in place while events come in."""

from dataclasses import dataclass
from uuid import UUID

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactCollectionFilterKey

from data import database, kpi_counts, live
from data.live import Live
from domain import kpi_counters
from domain.campaigns import Run
from tasks import artifacts, prefect_api, wiring

_AT_ONCE = 100  # an answer of Prefect's API holds 200


@dataclass(frozen=True, slots=True)
class _Kept:
    """What Prefect holds of a run's counters."""

    id: UUID
    text: str


@task(task_run_name="list the runs that changed", cache_policy=NO_CACHE)
def changed_runs() -> list[str]:
    """Of which runs something happened that the stored figures do not tell yet: ask before these are brought to now."""
    with database.read(wiring.engine()) as connection:
        return sorted(kpi_counts.stale_runs(connection))


@task(task_run_name="show live counters", cache_policy=NO_CACHE)
def show_counters(run_ids: list[str]) -> int:
    """Renew the counters of these runs in Prefect where their figures changed; how many were written.

    Each run has one artifact, on the page of the flow run that made it. It is changed in place: a version a minute over the
    days in which people open their mail would bury all others.
    """
    written = 0
    with prefect_api.own_client() as connected:
        for first in range(0, len(run_ids), _AT_ONCE):
            some = run_ids[first : first + _AT_ONCE]
            kept = _kept(connected, some)
            for run_id in some:
                written += _shown(connected, run_id, kept.get(key_of(run_id)))
    get_run_logger().info("Live counters: %d of %d runs written", written, len(run_ids))
    return written


def key_of(run_id: str) -> str:
    """The key of a run's artifact, the same for ever."""
    return f"live-{run_id}"


def _kept(connected: prefect_api.Client, run_ids: list[str]) -> dict[str, _Kept]:
    keys = ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=[key_of(one) for one in run_ids]))
    found = connected.read_latest_artifacts(artifact_filter=keys, limit=_AT_ONCE)
    return {one.key: _Kept(one.latest_id, str(one.data)) for one in found}


def _shown(connected: prefect_api.Client, run_id: str, kept: _Kept | None) -> bool:
    """Write what is new; whether it was. How far behind the inbox is alone is no news."""
    with database.read(wiring.engine()) as connection:
        found = live.read(connection, run_id, batches_now=0)
    if not found.figures.accepted:
        return False
    figures = _figures(found)
    if kept is not None and kept.text.startswith(figures):
        return False
    text = f"{figures}\n\n{_behind(found)}\n\n[Campaign page, seconds behind]({artifacts.page(run_id)})"
    if kept is not None:
        connected.update_artifact(kept.id, ArtifactUpdate(data=text))
        return True
    connected.create_artifact(
        ArtifactCreate(
            key=key_of(run_id),
            type="markdown",
            description="What happened to it so far, renewed each minute",
            data=text,
            flow_run_id=_flow_run(found.run),
        )
    )
    return True


def _flow_run(run: Run) -> UUID | None:
    """Whose page shows it."""
    try:
        return UUID(run.flow_run_id or "")
    except ValueError:
        return None


def _figures(found: Live) -> str:
    last = f"{found.last_event_at:%Y-%m-%d %H:%M:%S} UTC" if found.last_event_at else "none yet"
    return f"# {found.run.plan.campaign}: as it happens\n\n{kpi_counters.markdown(found.figures)}\n\n**Last event:** {last}\n"


def _behind(found: Live) -> str:
    now = wiring.clock()
    told = kpi_counters.behind(
        bodies=found.bodies_waiting,
        oldest=now - found.oldest_waiting_at if found.oldest_waiting_at else None,
        batches=found.batches_left,
        events=found.events_waiting,
    )
    return f"As of {now:%Y-%m-%d %H:%M:%S} UTC. {told}"
