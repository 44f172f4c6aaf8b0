"""Text with what could drive a terminal or deceive a reader spelt out."""

import re

UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and line feed, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # the direction of text
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200d\u2060-\u2064\u206a-\u206f\u3164\ufeff\uffa0"
    "\u2028\u2029\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""Characters that move the cursor, colour, turn text round or show nothing at all."""


def escaped(text: str) -> str:
    """Return the text with what could deceive a reader or drive a terminal as \\x1b, \\u202e and so on.

    Names of models, errors and labels are a server's words. Tabs and line feeds stay.
    """
    return UNSEEN.sub(_spelt_out, text)


def one_line(text: str) -> str:
    """Return the same without line feeds and tabs: a server's text cannot pass for lines of ours."""
    return escaped(text).replace("\n", "\\n").replace("\t", "\\t")


def _spelt_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
