"""observatory limits: what it refuses to begin, and its table of made readings."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from observatory.analysis.rate_limits.limit_finding import FoundLimit, RetryAdvice
from observatory.analysis.rate_limits.limit_reading import LimitsSeen, StageSeen
from observatory.analysis.rate_limits.limit_words import kind, waits
from observatory.cli.main import app
from observatory.cli.measure.limit_table import effective, notes, print_limits
from observatory.core.errors import BadInput
from observatory.limits.limit_probe import LimitAnswer
from observatory.wires.failures.rate_limit_headers import RateLimitHeaders

TARGETS = """
targets:
  - {kind: emulated, name: my-emulated}
  - kind: url
    name: priced
    url: "http://127.0.0.1:1/v1"
    model: m
    billing: tokens
    price: {input_per_million_usd: 1, output_per_million_usd: 2, source: round, basis: example}
  - {kind: url, name: unpriced, url: "http://127.0.0.1:1/v1", model: m, billing: tokens, price: unknown}
"""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "targets.yaml").write_text(TARGETS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["priced"], "--max-usd: target priced is billed by tokens"),
        (
            ["unpriced"],
            "--max-requests: target unpriced is billed by tokens and has no known price",
        ),
        (["my-emulated", "--only", "both"], "--only: 'both' is neither rpm nor tpm"),
        (["nobody"], "nobody"),
        ([], "name a target, or give --url"),
        (["--from", "nothing"], "there are no runs yet"),
    ],
)
def test_what_cannot_begin_says_why_and_sends_nothing(
    workspace: Path, arguments: list[str], words: str
) -> None:
    answer = CliRunner().invoke(app, ["limits", *arguments])
    assert isinstance(answer.exception, BadInput)
    assert words in str(answer.exception)
    assert not (workspace / "results").exists()


def made(ceiling: FoundLimit, **fields: Any) -> LimitAnswer:
    """Return a result of one stage at 2,100 requests a minute, with 1,200 in the headers."""
    stage = StageSeen(0, 2100, 60, 2100, 1300, 800, 0, 0, ceiling)
    seen: dict[str, Any] = {
        "run_id": "a-run",
        "target": "t",
        "emulated": False,
        "unit": "requests",
        "stages": [stage],
        "ceiling": ceiling,
        "each": 1.0,
        "by_usage": None,
        "advertised": RateLimitHeaders(requests_per_minute=1200),
        "retry_advice": RetryAdvice(800, 1.0, 0.03, 0.05),
        "statuses": {"200": 1300, "429": 800},
        "named": ["requests"],
        "words": "HTTP 429: slow down",
        "sent": 2100,
        "cost_usd": None,
    }
    ended, others = fields.pop("ended", "found"), fields.pop("others", [])
    best = LimitsSeen(**(seen | fields))
    stages = [*best.stages, *others]
    return LimitAnswer(best.unit, best, ["a-run"], stages, 2100, 1200, 2100, None, ended)


FOUND = FoundLimit(1199.6, 1196.2, 1203.1, "refill", 1198, None, None, 400, 700)


def test_a_ceiling_stands_with_its_interval_and_its_kind(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = made(FOUND)
    assert effective(answer) == "1,200 [1,196–1,203]"
    assert kind(FOUND) == "bucket that refills all the time"
    assert (
        waits(answer.best) == "stated 30 ms, let in after 50 ms (medians); enough in 100 % of 800"
    )
    assert notes(answer) == []
    print_limits([answer])
    shown = capsys.readouterr().out
    for words in ("Limits of t", "effective", "advertised (headers)", "1.000", "runs: a-run"):
        assert words in shown


def test_a_window_says_how_its_length_is_known() -> None:
    for source, words in (
        ("measured", "window of 60 s"),
        ("told", "window of 60 s, by its Retry-After"),
        ("assumed", "window of 60 s, assumed"),
    ):
        assert kind(FoundLimit(300, 299, 301, "window", 300, 60.0, source)) == words  # type: ignore[arg-type]


def test_what_was_not_found_says_up_to_where_and_what_is_excluded() -> None:
    calm = FoundLimit(None, excluded_below=512, reason="never_refused")
    answer = made(calm, named=[], ended="up_to")
    assert effective(answer) == "not found: no refusal up to 2,100 a minute"
    assert "a limit below 512 a minute would have refused something" in notes(answer)[0]
    assert "--up-to" in notes(answer)[-1]
    short = made(FoundLimit(None, reason="too_short"), ended="max_requests")
    assert effective(short) == "not found: refused, but too briefly seen"
    assert notes(short)[-1] == "ended by --max-requests; raise it to look further"


def test_where_nothing_came_no_figure_stands() -> None:
    shut = FoundLimit(None, reason="nothing_let_in")
    for sent, refused, failed, words in (
        (0, 0, 0, "nothing was sent"),
        (6, 0, 6, "nothing was answered"),
        (6, 6, 0, "everything was refused"),
    ):
        stage = StageSeen(0, 60, 6, sent, 0, refused, 0, failed, shut)
        answer = msgspec.structs.replace(
            made(shut, stages=[stage], named=[], ended="failed"), requests=sent
        )
        assert effective(answer) == f"not found: {words}"
        assert not any("a limit below" in line for line in notes(answer))


def test_what_has_to_be_known_beside_a_figure() -> None:
    tokens = made(FOUND, unit="tokens", by_usage=1100.0)
    lines = notes(tokens)
    assert "as usage counts them, 1,100" in lines[0]
    assert "the refusals name requests" in lines[1]
    low = made(FoundLimit(600, 590, 610, "refill", 5))
    assert "below what is advertised" in notes(low)[0]
    full = StageSeen(
        0, 960, 8, 128, 100, 0, 28, 0, FoundLimit(None, reason="never_refused"), "so full"
    )
    answer = made(full.ceiling, stages=[full], named=[], ended="capacity")
    assert any("which is no limit: so full" in line for line in notes(answer))
