"""One HTTP server on loopback that answers what a test tells it to: Prefect's API, the sandbox, the gateway."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from uuid import UUID, uuid4

DEPLOYMENT_ID = UUID(int=1)
FLOW_ID = UUID(int=2)


class FakeServer:
    """Answers by method and path; 404 for all else. `asked` keeps the bodies that were posted."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], tuple[int, Any]] = {}
        self.asked: dict[str, Any] = {}
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._http.daemon_threads = True
        self.port: int = self._http.server_address[1]

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def answer(self, method: str, path: str, body: Any, status: int = 200) -> None:
        self.answers[method, path] = (status, body)


def _handler_of(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = self.path.partition("?")[0]
            if body:
                server.asked[path] = json.loads(body)
            status, found = server.answers.get((self.command, path), (404, {"detail": "not found"}))
            data = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            return

    return Handler


def prefect_answers(server: FakeServer, *, form: dict[str, Any] | None = None) -> None:
    """A Prefect server with a worker and all deployments."""
    from prefect.client.schemas.responses import DeploymentResponse

    from cli import services
    from tasks import prefect_api

    server.answer("GET", "/api/health", True)
    for name in prefect_api.DEPLOYMENTS:
        deployment = DeploymentResponse(
            id=DEPLOYMENT_ID,
            name=name,
            flow_id=FLOW_ID,
            parameter_openapi_schema=form or present_form(),
        )
        server.answer("GET", f"/api/deployments/name/{name}/{name}", deployment.model_dump(mode="json"))
    worker = {"id": str(uuid4()), "name": "w", "work_pool_id": str(uuid4()), "status": "ONLINE"}
    server.answer("POST", f"/api/work_pools/{services.POOL}/workers/filter", [worker])


def present_form() -> dict[str, Any]:
    from tasks.request import CampaignRequest

    schema = CampaignRequest.model_json_schema()
    return {"definitions": {"CampaignRequest": schema}, "properties": {}, "title": "Parameters", "type": "object"}


def flow_run(state: Any, run_id: UUID | None = None) -> dict[str, Any]:
    """A flow run as Prefect's API tells it."""
    from prefect.client.schemas.objects import FlowRun

    return FlowRun(id=run_id or uuid4(), name="brave-otter", flow_id=FLOW_ID, state=state).model_dump(mode="json")
