"""The generated parts of docs/telemetry.md: what the engines and the DCGM exporter call things.

`python -m tools.names_page docs/telemetry.md` writes them between their markers; a
test holds the page against this.
"""

import sys

from observatory.telemetry.sensors.dcgm import FIELDS
from observatory.telemetry.sensors.engine_names import ENGINES, VOCABULARY
from tools.doc_tables import rewrite

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
        text = f"{term.meaning} ({term.kind})"
        lines.append(f"| `{term.metric}` | {text} | " + " | ".join(c or "-" for c in cells) + " |")
    return "\n".join(lines)


def dcgm_table() -> str:
    """FIELDS as a Markdown table, one row a field."""
    lines = ["| field | metric | converted | of a MIG instance |", "|---|---|---|---|"]
    lines += [
        f"| `{name}` | `{field.metric}` | {_UNITS[field.factor]} | {'no' if field.of_gpu else 'yes'} |"
        for name, field in FIELDS.items()
    ]
    return "\n".join(lines)


def page_tables() -> dict[str, str]:
    """Return the page's tables by the names of their markers."""
    return {"engine vocabulary": engine_table(), "dcgm": dcgm_table()}


if __name__ == "__main__":
    rewrite(sys.argv[1], page_tables())
