"""The files of the new context itself, from the templates next to this module."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from infrastructure.local.home import DEFAULT_PORT_BASE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.new_service.events import ConsumedEvent

TEMPLATES = Path(__file__).parent / "templates"
_SUFFIX = ".j2"


def render_files(name: str, resource: str, events: Sequence[ConsumedEvent], service_port: int) -> dict[str, str]:
    """Return the text of each new file by its path in the repository."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - Python and Markdown, from names that were checked
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    imported = {field.imported for event in events for field in event.fields} | {"TolerantSchema"}
    values = {
        "name": name,
        "resource": resource,
        "events": events,
        "service_port": DEFAULT_PORT_BASE + service_port,
        # As ruff sorts them: classes before functions.
        "field_imports": ", ".join(sorted(imported, key=lambda each: (each.islower(), each))),
        "uses_nested": "TolerantMoneySchema" in imported,
    }
    return {
        template.removesuffix(_SUFFIX).replace("NAME", name): environment.get_template(template).render(values)
        for template in environment.list_templates()
    }
