"""GET /health: can this gateway do its work right now?"""

import sqlalchemy as sa
from fastapi import APIRouter
from fastapi.responses import JSONResponse

from data import migrate


def router(engine: sa.Engine) -> APIRouter:
    """Healthy means: the database answers and has the schema that this code needs."""
    routes = APIRouter()

    @routes.get("/health")
    def health() -> JSONResponse:
        newest = migrate.newest()
        try:
            current = migrate.current(engine)
        except sa.exc.SQLAlchemyError:
            return _ill("the database does not answer")
        if current != newest:
            return _ill(f"the database is at schema {current}, this code needs {newest}: run `campaigns migrate`")
        return JSONResponse({"status": "ok", "schema": current})

    return routes


def _ill(sentence: str) -> JSONResponse:
    return JSONResponse({"status": "ill", "detail": sentence}, status_code=503)
