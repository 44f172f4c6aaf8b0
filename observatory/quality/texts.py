"""Score the similarity of an answer's words to a reference text."""

import re
import string
from collections import Counter
from collections.abc import Sequence

from observatory.quality.answer_text import compatible, fenced_blocks, folded

_ARTICLES = frozenset({"a", "an", "the"})
_NO_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation, ""))
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))
_MARKER = re.compile(
    r"^\W{0,6}(?:final )?(?:answer|output|result)\W{0,4}?:(?:\*\*)?", re.IGNORECASE | re.M
)


def token_f1(expected: str | float | Sequence[str], answer: str) -> tuple[float, str | None]:
    """Return the F1 of shared words, the best over the references, as SQuAD 1.1 defines it.

    Rajpurkar et al. 2016, evaluate-v1.1.py: lower case, ASCII punctuation and the articles a, an,
    the taken out, split at white space, words counted with repetition. In addition letters are
    NFKC-folded and typographic dashes and quotes are replaced by their ASCII forms. A reference that
    is nothing but articles and punctuation is compared whole.
    """
    given = words(answer)
    return max(_f1(reference, given, answer) for reference in references(expected)), None


def exact(expected: str | float | Sequence[str], answer: str) -> tuple[float, str | None]:
    """Return 1.0 where the answer is one of the references, else 0.0.

    Letters count as they are; runs of white space are one space; Unicode is NFKC. Compared are
    the whole answer, its only code block, and what follows the last line start "Answer:",
    "Output:" or "Result:", each also without wrapping emphasis, backticks or quotes and one full stop.
    """
    wanted = {_even(reference) for reference in references(expected)}
    candidates = [answer]
    blocks = fenced_blocks(answer)
    if len(blocks) == 1:
        candidates.append(blocks[0])
    marks = [mark.end() for mark in _MARKER.finditer(answer)]
    if marks:
        candidates.append(answer[marks[-1] :])
    right = any(shape in wanted for candidate in candidates for shape in _shapes(candidate))
    return (1.0 if right else 0.0), None


def references(expected: object) -> list[str]:
    """Return the accepted texts: one, or a list of several; raise ValueError where there is none."""
    several = expected if isinstance(expected, list | tuple) else [expected]
    if not several or not all(
        isinstance(one, str | int | float) and str(one).strip() for one in several
    ):
        raise ValueError("a text reference must be a text that is not empty, or a list of such")
    return [str(one) for one in several]


def words(text: str) -> list[str]:
    """Return the words that SQuAD's F1 counts."""
    plain = folded(text).translate(_DASHES).translate(_NO_PUNCTUATION)
    return [word for word in plain.split() if word not in _ARTICLES]


def _f1(reference: str, given: list[str], answer: str) -> float:
    wanted = words(reference)
    if not wanted:
        return 1.0 if folded(reference) == folded(answer) else 0.0
    shared = sum((Counter(wanted) & Counter(given)).values())
    return 2 * shared / (len(wanted) + len(given))


def _even(text: str) -> str:
    return " ".join(compatible(text).split())


def _shapes(answer: str) -> set[str]:
    """Return one answer unchanged, without a full stop, without what wraps it, without both."""
    even = _even(answer)
    shapes = {even}
    for shape in (even, even.removesuffix(".")):
        bare = shape
        for wrapping in ("**", "`", '"', "'"):
            ends = bare.startswith(wrapping) and bare.endswith(wrapping)
            if ends and len(bare) > 2 * len(wrapping):
                bare = bare.removeprefix(wrapping).removesuffix(wrapping).strip()
        shapes |= {bare, bare.removesuffix(".")}
    return shapes
