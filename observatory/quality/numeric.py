"""Find the number in an answer.

Decimal points only: "3,5" is two numbers, because "1,250" is one; no word ("five", "million") and
no percent sign changes a value.
"""

import re
from decimal import Decimal

_SEPARATOR = "[,'\u00a0\u2009\u202f]"
_NUMBER = re.compile(
    r"(?P<sign>(?<![\w)\]])-)?(?:[$€£¥₹]\s?(?P<inner_sign>-)?)?"
    rf"(?:(?P<whole>\d(?:\d|{_SEPARATOR})*)(?P<decimals>\.\d+)?|(?P<bare>(?<!\d)\.\d+))"
    r"(?P<exponent>[eE][+-]?\d{1,3}(?!\w))?"
    r"(?:/(?P<divisor>[1-9]\d{0,11})(?![\d/]))?"
)
_GROUPED = re.compile(rf"\d{{1,3}}(?:{_SEPARATOR}\d{{2,3}})*{_SEPARATOR}\d{{3}}")
_MARKER = re.compile(r"####|\\boxed\s?\{|\banswer\b\W{0,6}?(?:is\b|[:=])", re.IGNORECASE)
_EXPRESSION = re.compile(r"(?:[\s\d.,+\-*/×÷()$€£¥₹%x]*=)+")
_DASHES = str.maketrans({"\u2212": "-", "\u2013": "-", "\uff0d": "-", "\u2044": "/"})
_MOST_DIGITS = 60
_TOLERANCE = Decimal("1e-6")
"""Relative above 1, absolute below: wide enough for sums in binary floating point, too narrow for
a cent in ten thousand dollars."""


def number(expected: float | str, answer: str) -> tuple[float, str | None]:
    """Return 1.0 where the answer's number equals `expected` to a millionth, else 0.0 and why.

    Notes: no_number, other_number. ValueError where `expected` is no number.
    """
    wanted = parse_number(expected)
    if wanted is None:
        raise ValueError(f"{expected!r} is not a number")
    given = final_number(answer)
    if given is None:
        return 0.0, "no_number"
    if abs(given - wanted) <= _TOLERANCE * max(Decimal(1), abs(wanted)):
        return 1.0, None
    return 0.0, "other_number"


def parse_number(value: object) -> Decimal | None:
    """Return a reference as a number: an int, a float, or a text that is one number ("70,000", "-3.5")."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    match = _NUMBER.fullmatch(str(value).strip().translate(_DASHES))
    values = _values(match) if match else []
    return values[0] if len(values) == 1 else None


def final_number(answer: str) -> Decimal | None:
    """Return the number that an answer marks as its result, or ends in; None where it has none.

    The first number after the last "####", "\\boxed{", "answer is" or "answer:" that a number
    follows (after "Answer: 40 + 2 =" the one behind the equals sign); without such a mark the last
    number of the text, as lm-evaluation-harness's flexible-extract takes it for GSM8K (Cobbe et
    al. 2021). Signs, currency, thousands separators and units are understood; "3/4" is 0.75.
    """
    text = answer.translate(_DASHES)
    matches = list(_NUMBER.finditer(text))
    while matches and not _values(matches[-1]):
        matches.pop()
    if not matches:
        return None
    last = matches[-1]
    ends = [mark.end() for mark in _MARKER.finditer(text) if mark.end() <= last.start()]
    if ends:
        expression = _EXPRESSION.match(text, ends[-1])
        for start in (expression.end() if expression else ends[-1], ends[-1]):
            for match in matches:
                if match.start() >= start and (values := _values(match)):
                    return values[0]
    return _values(last)[-1]


def _values(match: re.Match[str]) -> list[Decimal]:
    """Return the numbers of one match: one, or several where its commas do not group digits."""
    tail = (match["decimals"] or match["bare"] or "") + (match["exponent"] or "")
    digits = match["whole"] or ""
    if len(digits) <= _MOST_DIGITS and _GROUPED.fullmatch(digits):
        pieces = [re.sub(_SEPARATOR, "", digits)]
    else:
        pieces = re.split(_SEPARATOR, digits)
    if pieces[-1] or match["decimals"] or match["bare"]:  # no exponent without a number before it
        pieces[-1] += tail
    pieces = [piece for piece in pieces if piece and len(piece) <= _MOST_DIGITS]
    values = [Decimal(piece) for piece in pieces]
    if values and (match["sign"] or match["inner_sign"]):
        values[0] = -values[0]
    if values and match["divisor"]:
        values[-1] /= Decimal(match["divisor"])
    return values
