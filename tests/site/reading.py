"""A built page as a reader sees it: its words, without tags, scripts and runs of white space."""

import html
import re
from pathlib import Path


def words(path: Path) -> str:
    """The page's text."""
    text = re.sub(r"<script.*?</script>", " ", path.read_text(encoding="utf-8"), flags=re.S)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text)))
