"""No text of a published CSV is computed by a spreadsheet that opens it."""

import polars as pl
import pytest

from observatory.site.downloads import _flat


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1", '=HYPERLINK("http://x")', "\ttext"],
)  # fmt: skip
def test_a_formula_gets_an_apostrophe(text: str) -> None:
    frame = pl.DataFrame({"text": [text], "list": [[text, "b"]], "number": [-1.0]})
    flat = _flat(frame)
    assert flat.row(0) == (f"'{text}", f"'{text} b", -1.0)


def test_other_text_and_numbers_stay() -> None:
    frame = pl.DataFrame({"text": ["a=b", None, "", "3 - 1"], "number": [-1, 2, 3, None]})
    assert _flat(frame).equals(frame)
