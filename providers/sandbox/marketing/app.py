"""Marketing 3.0 as an application of its own under the sandbox's: errors there have another shape."""

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from providers.sandbox.marketing import audience_routes, campaign_routes, hooks, problems
from providers.sandbox.marketing.state import Marketing, one_of_ten, require_key


def mount(parent: FastAPI, path: str) -> Marketing:
    """Put it under `path`. What runs besides is `run`, and begins with the parent."""
    app = FastAPI(openapi_url=None, dependencies=[Depends(one_of_ten), Depends(require_key)])
    app.state.marketing = marketing = Marketing(parent)
    app.include_router(audience_routes.router)
    app.include_router(campaign_routes.router)
    app.add_exception_handler(problems.Problem, problems.answer)
    app.add_exception_handler(problems.TooMany, problems.too_many)
    app.add_exception_handler(RequestValidationError, problems.of_validation)
    app.add_exception_handler(HTTPException, problems.of_http)
    parent.mount(path, app)
    return marketing


async def run(marketing: Marketing) -> None:
    """Send what is due and post to the webhooks, until cancelled."""
    store = marketing.sandbox.store
    await hooks.run(store, marketing.now)
