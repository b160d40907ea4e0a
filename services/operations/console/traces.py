"""Links to an installation's trace viewer: TRACE_URL_TEMPLATE with a trace's id in it."""

from __future__ import annotations

import re

from marshmallow import ValidationError

from common.setting_checks import HTTP_URL
from common.web.app_factory import context

PLACEHOLDER = "{trace_id}"
_TRACE_ID = re.compile(r"[0-9a-f]{32}")  # W3C Trace Context


def url_of(trace_id: str) -> str:
    """The URL of the trace's page; empty without a viewer, or for an invalid trace id."""
    template: str | None = context().trace_url_template
    return template.replace(PLACEHOLDER, trace_id) if template and _TRACE_ID.fullmatch(trace_id) else ""


def check_template(value: str) -> None:
    """A check of the setting. Raises ValidationError."""
    HTTP_URL(value)
    if PLACEHOLDER not in value:
        message = f"expected a URL with {PLACEHOLDER} in it"
        raise ValidationError(message)
