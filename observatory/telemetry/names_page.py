"""The generated parts of docs/telemetry.md: what the engines and the DCGM exporter call things.

`python -m observatory.telemetry.names_page docs/telemetry.md` writes them between their markers; a
test holds the page against this.
"""

import sys
from pathlib import Path

from observatory.telemetry.sensors.dcgm import FIELDS
from observatory.telemetry.sensors.engine_names import ENGINES, VOCABULARY

_TITLES = {"vllm": "vLLM", "llamacpp": "llama.cpp", "sglang": "SGLang", "tgi": "TGI"}
_UNITS = {1.0: "as it is", 1e-2: "from per cent", 1e-3: "from mJ", 2.0**20: "from MiB"}


def engine_table() -> str:
    """VOCABULARY as a Markdown table, one row a metric."""
    lines = [
        "| metric | what it is | " + " | ".join(_TITLES[engine] for engine in ENGINES) + " |",
        "|---|---|" + "---|" * len(ENGINES),
    ]
    for term in VOCABULARY:
        cells = [
            " or ".join(" + ".join(f"`{name}`" for name in parts) for parts in term.parts(engine))
            for engine in ENGINES
        ]
        said = f"{term.meaning} ({term.kind})"
        lines.append(f"| `{term.metric}` | {said} | " + " | ".join(c or "-" for c in cells) + " |")
    return "\n".join(lines)


def dcgm_table() -> str:
    """FIELDS as a Markdown table, one row a field."""
    lines = ["| field | metric | converted | of a MIG instance |", "|---|---|---|---|"]
    lines += [
        f"| `{name}` | `{field.metric}` | {_UNITS[field.factor]} | {'no' if field.whole else 'yes'} |"
        for name, field in FIELDS.items()
    ]
    return "\n".join(lines)


def filled(page: str) -> str:
    """The page with both tables between their markers; ValueError where a marker is missing."""
    for name, table in (("engine vocabulary", engine_table()), ("dcgm", dcgm_table())):
        opening, closing = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        before, found, rest = page.partition(opening)
        _, closed, after = rest.partition(closing)
        if not found or not closed:
            raise ValueError(f"the page lacks {opening} ... {closing}")
        page = f"{before}{opening}\n{table}\n{closing}{after}"
    return page


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(filled(target.read_text(encoding="utf-8")), encoding="utf-8")
