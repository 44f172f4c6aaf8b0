"""How far docstrings, comments, messages, docs and pages are from plain technical English: a report, not a test.

    python -m tools.prose            # the rate by kind of text, and the worst files
    python -m tools.prose --words    # the words that are found most

It counts words such as say, tell, ask and stand, which describe persons, per 1,000 words of text. It does not know
of what they are used: in a quotation, or of a person, they are right. Texts in backquotes and in fenced code are left
out.
"""

import argparse
import ast
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WORDS = re.compile(
    r"\b(say(?:s|ing)?|said|tell(?:s|ing)?|told|ask(?:s|ed|ing)?|stand(?:s|ing)?(?!-)|stood|who(?:m|se)?ever|whatever"
    r"|nobody|anew|dearer|reckon(?:s|ed|ing)?|beside)\b",
    re.IGNORECASE,
)
WORD = re.compile(r"[A-Za-z][A-Za-z'-]*")
CODE = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)
TAGS = re.compile(r"<script.*?</script>|<[^>]*>|\{[{%].*?[}%]\}", re.DOTALL)
FEWEST = 60
"""Words that a file must have to be listed among the worst."""


@dataclass(frozen=True, slots=True)
class Text:
    """A file's text of one kind: docstrings, comments, messages, docs or pages."""

    path: Path
    kind: str
    text: str


def main() -> int:
    """Print the report; the exit code is 0."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--words", action="store_true", help="list the words found")
    parser.add_argument("--worst", type=int, default=20, help="files to list")
    parser.add_argument("paths", nargs="*", type=Path, default=[Path(name) for name in _ROOTS])
    given = parser.parse_args()
    hits, words, found = Counter[str](), Counter[str](), Counter[str]()
    files: list[tuple[float, int, int, Path]] = []
    for path in _files(given.paths):
        of_file, total = 0, 0
        for part in texts(path):
            plain = CODE.sub(" ", part.text)
            matches = [match.group().lower() for match in WORDS.finditer(plain)]
            count = len(WORD.findall(plain))
            hits[part.kind] += len(matches)
            words[part.kind] += count
            found.update(matches)
            of_file, total = of_file + len(matches), total + count
        if total >= FEWEST:
            files.append((1000 * of_file / total, of_file, total, path))
    for kind in words:
        print(
            f"{1000 * hits[kind] / max(words[kind], 1):6.1f} per 1,000 of {words[kind]:7,} words in {kind}"
        )
    for rate, of_file, total, path in sorted(files, reverse=True)[: given.worst]:
        print(f"{rate:6.1f} ({of_file} of {total:,} words) {path}")
    if given.words:
        print(", ".join(f"{word} {count}" for word, count in found.most_common()))
    return 0


_ROOTS = (
    "observatory",
    "site",
    "docs",
    "README.md",
    "CHANGELOG.md",
    "tests",
    "tools",
    "benchmarks",
)


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (
            one for one in inside if one.suffix in (".py", ".md", ".html") and one.is_file()
        )


def texts(path: Path) -> Iterator[Text]:
    """The texts of a file by kind."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        yield Text(path, "docs", text)
    elif path.suffix == ".html":
        yield Text(path, "pages", TAGS.sub(" ", text))
    else:
        yield from _of_python(path, text)


def _of_python(path: Path, text: str) -> Iterator[Text]:
    tree = ast.parse(text)
    docstrings = {id(node) for node in _docstrings(tree)}
    strings: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) in docstrings:
                yield Text(path, "docstrings", node.value)
            elif " " in node.value:
                strings.append(node.value)
    if path.parts[0] == "observatory":
        yield Text(path, "messages", "\n".join(strings))
    with path.open("rb") as file:
        comments = [
            one.string for one in tokenize.tokenize(file.readline) if one.type == tokenize.COMMENT
        ]
    yield Text(path, "comments", "\n".join(comments))


def _docstrings(tree: ast.AST) -> Iterator[ast.Constant]:
    """Strings that are statements: docstrings, and texts below a constant."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            yield node.value


if __name__ == "__main__":
    sys.exit(main())
