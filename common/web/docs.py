"""/docs: the Swagger page of a service, from files in the wheel of flask-swagger-ui, so it works offline.

All its URLs are relative: it works at /docs and behind a gateway at /<context>/docs. Its content security policy allows
only its own scripts, requests to its own origin, and no frames.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from flask import Blueprint, Response, render_template_string, send_from_directory

from common.security.auth import public

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>{{ title }}</title>
  <link rel="stylesheet" href="docs/swagger-ui.css">
  <link rel="icon" type="image/png" href="docs/favicon-32x32.png">
</head>
<body>
  <div id="swagger-ui"></div>
  <script src="docs/swagger-ui-bundle.js"></script>
  <script src="docs/start.js"></script>
</body>
</html>
"""
START = 'window.ui = SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true});\n'
# Swagger's style sheet embeds its pictures as data: URLs.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": _POLICY, "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer"}

ASSETS = Path(str(files("flask_swagger_ui"))) / "dist"


def make_blueprint(name: str) -> Blueprint:
    blueprint = Blueprint("docs", __name__)

    @blueprint.get("/docs")
    @public
    def page() -> tuple[str, dict[str, str]]:
        return render_template_string(PAGE, title=f"Holdfast {name}"), HEADERS

    @blueprint.get("/docs/start.js")
    @public
    def start() -> Response:
        return Response(START, content_type="text/javascript; charset=utf-8")

    @blueprint.get("/docs/<path:path>")
    @public
    def asset(path: str) -> Response:
        return send_from_directory(ASSETS, path, max_age=3600)

    return blueprint
