"""/livez, /readyz, /metrics, /openapi.json and the offline page /docs, like in every service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, Response

from common.observability.metrics import exposition
from common.web import docs
from services.live import api, problems
from services.live.documentation import complete

if TYPE_CHECKING:
    from starlette.requests import Request

router = APIRouter(include_in_schema=False)


async def livez(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> Response:
    if not request.app.state.resources.hub.is_up:
        return problems.not_ready(request)
    return JSONResponse({"status": "ok", "checks": ["mongodb"]})


async def show_metrics(_request: Request) -> Response:
    body, content_type = exposition()
    return Response(body, headers={"Content-Type": content_type})


async def openapi_json(_request: Request) -> Response:
    generated = get_openapi(title="live", version="v1", openapi_version="3.1.0", routes=api.router.routes)
    return JSONResponse(complete(generated))


async def docs_page(_request: Request) -> Response:
    page = docs.PAGE.replace("{{ title }}", "Holdfast live")
    return Response(page, headers=docs.HEADERS, media_type="text/html")


async def docs_start(_request: Request) -> Response:
    return Response(docs.START, media_type="text/javascript")


async def docs_asset(request: Request) -> Response:
    path = (docs.ASSETS / request.path_params["path"]).resolve()
    if not path.is_relative_to(docs.ASSETS.resolve()) or not path.is_file():
        raise HTTPException(404)
    return FileResponse(path, headers={"Cache-Control": "public, max-age=3600"})


for _path, _page in (
    ("/livez", livez),
    ("/readyz", readyz),
    ("/metrics", show_metrics),
    ("/openapi.json", openapi_json),
    ("/docs", docs_page),
    ("/docs/start.js", docs_start),
    ("/docs/{path:path}", docs_asset),
):
    router.add_route(_path, _page, methods=["GET"])
