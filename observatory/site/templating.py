"""Templates to HTML: what templates may call, and how JSON is put into a page safely.

Everything is escaped by Jinja; a specification is in a script element of type application/json,
in which no < is allowed.
"""

import json
import math
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from observatory.core.counted_nouns import count_of
from observatory.core.workspace import shipped
from observatory.site.charts.drawing import CONFIG

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'none'; base-uri 'none'; form-action 'none'"
)
"""The Content-Security-Policy of every page: nothing is loaded from anywhere else."""


def page_environment(sources: Path) -> Environment:
    """Return the template environment over sources/templates; an undefined name is an error.

    A template that is not there is the shipped one: a workspace that was laid out by an older version
    lacks the pages that came later.
    """
    environment = Environment(
        loader=FileSystemLoader([sources / "templates", shipped("site") / "templates"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["script_json"] = script_json
    environment.filters["count_of"] = count_of
    environment.globals["policy"] = POLICY
    environment.globals["chart_config"] = CONFIG
    return environment


DRAWN_DIGITS = 6
"""Significant digits of a number that is drawn."""


def script_json(value: Any, digits: int = DRAWN_DIGITS) -> Markup:
    """Return JSON that is safe in a script element: <, > and & are written as escapes; no NaN.

    digits: significant ones that are kept; 17 keep every number exactly.
    """
    text = json.dumps(
        _finite(value, digits), allow_nan=False, ensure_ascii=False, separators=(",", ":")
    )
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _finite(value: Any, digits: int) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner, digits) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner, digits) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") if math.isfinite(value) else None
    return value
