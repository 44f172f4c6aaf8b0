"""`python -m benchmarks.repricing`: how long 1,000 runs take to price at other prices, and ten of them.

Makes small sealed runs of a target billed by tokens, each in a folder of its own, takes them into a
database, and times the command line: `observatory prices reprice` over all runs and over those of one
day, and `observatory prices update` after a change of the workspace's price file. Prints JSON: wall
(_s) and processor seconds (_cpu_s) of each command, the start of the interpreter included.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from observatory.analysis.stage_metrics import run_figures
from observatory.core.clock import Anchor
from observatory.core.journal import encode_entry
from observatory.core.record import Attempt, RequestRecord, Tokens, WorkerEnd
from observatory.core.run import MANIFEST_FORMAT, Manifest, StageTimes, TargetFacts
from observatory.core.workspace import Workspace, open_workspace
from observatory.economics.price_details import PriceDetails
from observatory.economics.price_rows import AppliedPrices, PriceKind, PriceRow
from observatory.store.folder.manifest import create_run
from observatory.store.folder.sealing import seal
from observatory.store.ingest.warehouse import ingest_pending

RUNS, RUNS_A_DAY, REQUESTS = 1_000, 10, 100
SECOND = 1_000_000_000
PROVIDER, MODEL = "openai", "gpt-4.1-mini"
USD: dict[PriceKind, float] = {"input": 0.4, "cached_input": 0.1, "output": 1.6}
FIRST = datetime(2026, 1, 1, 12, tzinfo=UTC)
PRICES = """prices:
  - provider: {provider}
    model: {model}
    input_per_million_usd: {usd}
    output_per_million_usd: 2.00
    source: a quotation
"""


def make_run(workspace: Workspace, number: int) -> None:
    """Make and seal one run of REQUESTS answers, RUNS_A_DAY of them a day."""
    begun = FIRST + timedelta(days=number // RUNS_A_DAY, minutes=number % RUNS_A_DAY)
    details = PriceDetails(package="genai-prices", provider=PROVIDER, model=MODEL)
    prices = [
        PriceRow(kind, usd, "list_price", "a list", details=details) for kind, usd in USD.items()
    ]
    target = TargetFacts(
        "bought",
        "api",
        hosting="managed",
        weights="closed",
        billing="tokens",
        model=MODEL,
        provider=PROVIDER,
        price=AppliedPrices(prices, "list_price").to_dict(),
    )
    stage = StageTimes(0, "closed", 2, None, 0, None, None, 11 * SECOND, issued=REQUESTS)
    manifest = Manifest(
        format=MANIFEST_FORMAT,
        run_id=f"run-{number:04}",
        campaign_id=f"campaign-{number:04}",
        scenario_name="repricing",
        scenario={"name": "repricing"},
        seed=number,
        target=target,
        comparison_key="0" * 16,
        comparison_fields={},
        plan_sha256="0" * 64,
        anchor=Anchor(int(begun.timestamp()) * SECOND, 0),
        created_utc=begun.strftime("%Y-%m-%dT%H:%M:%SZ"),
        ended_utc=begun.strftime("%Y-%m-%dT%H:%M:%SZ"),
        status="complete",
        stages=[stage],
        environment={},
        software={},
    )
    folder = create_run(workspace, manifest)
    journal = folder / "journal" / "stage-00"
    journal.mkdir(parents=True, exist_ok=True)
    records = (encode_entry(_request(number, index)) for index in range(REQUESTS))
    (journal / "worker-0.requests").write_bytes(b"".join(records))
    end = WorkerEnd(11 * SECOND, REQUESTS, REQUESTS, 0, 0, "complete")
    (journal / "worker-0.ticks").write_bytes(encode_entry(end))
    seal(folder, manifest, None)


def _request(number: int, index: int) -> RequestRecord:
    sent = 2 * SECOND + index * SECOND // 20
    prompt, output = 500 + (number * 7 + index * 13) % 1500, 20 + (number + index * 3) % 200
    attempt = Attempt(
        0,
        sent=sent,
        first_event=sent + SECOND // 10,
        first_token=sent + SECOND // 10,
        first_answer=sent + SECOND // 10,
        last_token=sent + SECOND // 4,
        ended=sent + SECOND // 4,
        http_status=200,
        tokens=Tokens(prompt=prompt, cached=prompt // 3, output=output, output_from="usage"),
    )
    return RequestRecord(
        index=index,
        stage=0,
        prompt_id=f"item-{index}",
        prompt_sha256="0" * 64,
        scheduled=sent,
        released=sent,
        outcome="ok",
        attempts=[attempt],
    )


def timed(workspace: Workspace, words: Sequence[str]) -> tuple[dict[str, float], str]:
    """Return the wall and processor seconds that a command of the observatory took, and what it printed."""
    begin, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "observatory", *words, "--results", str(workspace.results)],
        cwd=workspace.root,
        check=True,
        capture_output=True,
        text=True,
    )
    wall_s, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"s": wall_s, "cpu_s": cpu_s}, done.stdout


def measure(root: Path, runs: int) -> dict[str, float]:
    """Make the runs, and time a price's change and re-pricing."""
    workspace = open_workspace(root / "results", root=root)
    begin = time.monotonic()
    for number in range(runs):
        make_run(workspace, number)
    sealed = time.monotonic()
    taken = ingest_pending(workspace, run_figures)
    if len(taken.ingested) != runs:
        raise SystemExit(f"{len(taken.ingested)} of {runs} runs were taken in: {taken.message}")
    figures = {"runs": runs, "requests": runs * REQUESTS, "sealing_s": sealed - begin}
    figures["ingest_s"] = time.monotonic() - sealed
    (root / "scenarios").mkdir()
    for step, usd in (("first", 0.5), ("second", 0.6)):
        text = PRICES.format(provider=PROVIDER, model=MODEL, usd=usd)
        (root / "scenarios" / "prices.yaml").write_text(text)
        took, _ = timed(workspace, ["prices", "update"])
        figures |= {f"{step}_price_change_{unit}": value for unit, value in took.items()}
    day = FIRST + timedelta(days=1)
    ends = ["--since", f"{FIRST:%Y-%m-%d}", "--until", f"{day:%Y-%m-%d}"]
    for name, limits in (("all", []), ("one_day", ends)):
        took, shown = timed(workspace, ["prices", "reprice", "--json", *limits])
        rows = json.loads(shown)
        if not all(row["new_usd"] is not None for row in rows):
            raise SystemExit("a run has no new price")
        figures[f"reprice_{name}_runs"] = len(rows)
        figures |= {f"reprice_{name}_{unit}": value for unit, value in took.items()}
    return figures


def main(words: list[str] | None = None) -> int:
    """Measure in a scratch folder and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.repricing", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as scratch:
        figures = measure(Path(scratch), arguments.runs)
    print(json.dumps({name: round(value, 2) for name, value in figures.items()}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
