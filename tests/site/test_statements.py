"""Which differences between targets the key findings may state."""

from observatory.presentation.figures import Figure, StageFigures
from observatory.site.loads import Load
from observatory.site.members import MemberRun
from observatory.site.sections.statements import statements
from observatory.site.target_styles import TargetStyle
from tests.site.made_rows import run_row


def member(
    name: str,
    ttft: tuple[float, float | None, float | None] | None = (0.1, 0.09, 0.11),
    score: float | None = 0.8,
    cost: tuple[float, str] | None = None,
    *,
    emulated: bool = False,
    verdict: str | None = "valid",
    model: str | None = None,
    taken: float | None = None,
) -> MemberRun:
    by_key: dict[tuple[str, str], Figure] = {}
    if taken is not None:
        by_key["foreign_cpu_fraction", "value"] = Figure("foreign_cpu_fraction", "value", taken)
    if ttft:
        by_key["ttft_s", "p50"] = Figure("ttft_s", "p50", *ttft, n=100, basis="measured")
    if score is not None:
        by_key["score", "value"] = Figure("score", "value", score, score - 0.1, score + 0.1)
    if cost:
        by_key["usd_per_1k_requests", "value"] = Figure(
            "usd_per_1k_requests", "value", cost[0], cost[0] * 0.9, cost[0] * 1.1, basis=cost[1]
        )
    run = run_row(
        run_id=name,
        model=model or name,
        model_reported=model or name,
        verdict=verdict,
        verdict_sentence="",
        status="complete",
        target=name,
        emulated=emulated,
        comparison_key="k",
        comparison_fields="{}",
    )
    return MemberRun(
        run, TargetStyle(name, "self", 1, emulated), [(Load(0, 4.0), StageFigures(by_key))]
    )


def said(*members: MemberRun) -> str:
    return " ".join(statement.sentence for statement in statements(list(members)))


def test_a_clear_difference_is_said_with_both_scores_beside_it() -> None:
    [statement] = statements([member("slow", (0.4, 0.38, 0.42)), member("fast")])
    assert statement.sentence == (
        "At 4 users, fast has the lowest time to first token, median: 100 ms (90–110 ms) against "
        "400 ms (380–420 ms) for slow, a ratio of 4 (3.59–4.49)."
    )
    assert [side.score.text for side in statement.sides] == ["0.80", "0.80"]


def test_a_difference_that_may_be_zero_cannot_be_told_apart() -> None:
    text = said(member("a"), member("b", (0.105, 0.095, 0.12)))
    assert "cannot be told apart" in text
    assert text.endswith("105 ms (95–120 ms), a ratio of 1.05 (0.914–1.24).")


def test_overlapping_intervals_may_be_told_apart() -> None:
    """110 - 90 = 20 ms, of which each end is sqrt(10^2 + 10^2) = 14.1 ms away."""
    text = said(member("a", (0.09, 0.08, 0.1)), member("b", (0.11, 0.1, 0.12)))
    assert "a has the lowest" in text
    near = said(member("a", (0.097, 0.087, 0.107)), member("b", (0.11, 0.1, 0.12)))
    assert "cannot be told apart" in near


def test_runs_beside_unlike_other_work_are_not_compared() -> None:
    text = said(member("slow", (0.4, 0.38, 0.42), taken=0.05), member("fast", taken=0.6))
    assert text == (
        "No statement on time to first token, median between fast and slow: other work took shares of "
        "the machine that differ by more than 10 % of it."
    )
    like = said(member("slow", (0.4, 0.38, 0.42), taken=0.05), member("fast", taken=0.1))
    assert "fast has the lowest" in like


def test_between_models_no_winner_without_a_score() -> None:
    text = said(member("slow", (0.4, 0.38, 0.42), score=None), member("fast"))
    assert text == (
        "No statement on time to first token, median between fast and slow: they are different "
        "models without a score each."
    )
    assert "lowest" not in text


def test_one_model_on_two_engines_needs_no_score() -> None:
    slow = member("slow", (0.4, 0.38, 0.42), score=None, model="same")
    assert "fast has the lowest" in said(slow, member("fast", score=None, model="same"))


def test_a_stand_in_enters_no_statement() -> None:
    text = said(member("emulated-api", (0.001, 0.001, 0.001), emulated=True), member("real"))
    assert text == (
        "Only one real target was measured, so nothing is compared. Left out of the comparison, "
        "because it is emulated: emulated-api."
    )


def test_unjudged_and_invalid_runs_enter_no_statement() -> None:
    for verdict in (None, "invalid"):
        text = said(member("doubtful", (0.001, 0.001, 0.001), verdict=verdict), member("real"))
        assert "lowest" not in text


def test_example_prices_enter_no_statement() -> None:
    dear = member("dear", None, cost=(9.0, "list_price"))
    assert "lowest" not in said(dear, member("cheap", None, cost=(0.1, "example")))
    text = said(dear, member("cheap", None, cost=(0.1, "stated")))
    assert "cheap has the lowest cost per 1,000 requests: $0.100 ($0.0900–0.110, stated)" in text


def test_a_difference_without_intervals_is_not_stated() -> None:
    text = said(member("a", (0.4, None, None)), member("b"))
    assert "a difference without intervals may be noise" in text
    assert "lowest" not in text
