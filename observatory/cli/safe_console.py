"""rich's console, with what could drive a terminal or deceive a reader spelt out in all that is printed."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console, RenderableType
from rich.segment import Segment

from observatory.cli.escaping import escaped


class SafeConsole(Console):
    """Colours and cursor movements are rich's own: they are no part of the text that is checked."""

    def render(self, renderable: RenderableType, options: Any = None) -> Iterable[Segment]:
        """Yield the segments of a renderable, their texts escaped."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else escaped(segment.text)
            yield segment if text == segment.text else Segment(text, segment.style)
