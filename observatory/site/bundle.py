"""The files that every page shares: the drawing library, the starter script, the stylesheet."""

import shutil
from functools import cache
from pathlib import Path

import altair as alt

from observatory.core.workspace import shipped

STARTER = "boot.js"
MONEY = "money.js"
STYLESHEET = "style.css"
LIBRARY = "vega.js"
_EXPORT = "window.vegaEmbed = vegaEmbed;"


def write_assets(sources: Path, out: Path) -> None:
    """Fill out/assets from the site's own sources and from the libraries that Altair draws with."""
    assets = out / "assets"
    assets.mkdir(parents=True)
    for name in (STARTER, MONEY, STYLESHEET):
        own = sources / "assets" / name
        # A workspace that was laid out by an older version lacks what came later.
        shutil.copyfile(own if own.is_file() else shipped("site") / "assets" / name, assets / name)
    (assets / LIBRARY).write_text(_library(), encoding="utf-8")


@cache
def _library() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script; making it takes about two seconds."""
    import vl_convert

    version = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    script: str = vl_convert.javascript_bundle(_EXPORT, vl_version=version)
    return script
