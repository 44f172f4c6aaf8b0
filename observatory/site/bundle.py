"""The files that every page shares: the drawing library, the starter script, the stylesheet."""

import shutil
from pathlib import Path

import altair as alt

STARTER = "boot.js"
STYLESHEET = "style.css"
LIBRARY = "vega.js"
_EXPORT = "window.vegaEmbed = vegaEmbed;"


def write_assets(sources: Path, out: Path) -> None:
    """Fill out/assets from the site's own sources and from the libraries that Altair draws with."""
    import vl_convert

    assets = out / "assets"
    assets.mkdir(parents=True)
    for name in (STARTER, STYLESHEET):
        shutil.copyfile(sources / "assets" / name, assets / name)
    version = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    script = vl_convert.javascript_bundle(_EXPORT, vl_version=version)
    (assets / LIBRARY).write_text(script, encoding="utf-8")
