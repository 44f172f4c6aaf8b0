"""The front page: for each workload the latest campaign, its targets side by side.

Invalid runs are left out and counted; everything that is drawn is in a table, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from observatory.core.metric import has_trait
from observatory.presentation.figures import Figure
from observatory.site.charts.drawing import Drawing, TableCell, figure_cell
from observatory.site.charts.energy import energy_chart
from observatory.site.charts.levels import level_chart, series_of
from observatory.site.charts.scores import score_chart
from observatory.site.charts.tradeoff import TradeoffSeries, tradeoff_chart
from observatory.site.loads import Load
from observatory.site.members import (
    MemberRun,
    differing,
    matrix_path,
    member_of,
    order_of,
    request_terms,
)
from observatory.site.queries.reader import Reader
from observatory.site.queries.run_row import RunRow
from observatory.site.sections.hardware import (
    SERVER,
    busy_drawings,
    has_server_figures,
    phase_drawings,
)
from observatory.site.sections.latency_breakdown import (
    COUNTS,
    breakdown_drawings,
    count_cells,
    count_rows,
    held_up,
    latency_cells,
    latency_heads,
)
from observatory.site.sections.latest import latest_campaigns
from observatory.site.sections.limits_found import is_probe
from observatory.site.sections.statements import ComparisonSentence, statements
from observatory.site.target_styles import TargetStyle

HEADLINES = (
    ("Time to first token, median", "ttft_s", "p50"),
    ("End-to-end latency, median", "e2e_s", "p50"),
    ("Cost of 1,000 requests", "usd_per_1k_requests", "value"),
    ("Energy of a request", "j_per_request", "value"),
    ("Score", "score", "value"),
)
WAITING = (
    ("Time to first token, median", "ttft_s", "p50"),
    ("Time to first token, p90", "ttft_s", "p90"),
    ("Time to first token, p99", "ttft_s", "p99"),
    ("End-to-end latency, median", "e2e_s", "p50"),
    ("End-to-end latency, p90", "e2e_s", "p90"),
    ("Requests a second", "request_rate", "value"),
    ("Characters a second", "chars_per_s", "value"),
    ("Tokens a second", "output_tps", "value"),
)
AS_USERS_WAIT = {
    "Time to first token, p90": (
        "Time to first token as users waited, p90",
        "ttft_scheduled_s",
        "p90",
    ),
    "End-to-end latency, p90": (
        "End-to-end latency as users waited, p90",
        "e2e_scheduled_s",
        "p90",
    ),
}
"""What follows a column of the service's own time where a target was throttled or paced."""
ON_CARDS = (
    ("End-to-end latency, p90", "e2e_s", "p90"),
    ("As users waited, p90", "e2e_scheduled_s", "p90"),
)
"""The service's time and what users waited, on the card of a target that was throttled or paced."""
WORTH = (
    ("Errors", "error_rate", "value"),
    ("Good requests", "goodput_fraction", "value"),
    ("Score", "score", "value"),
    ("Cost of 1,000 requests", "usd_per_1k_requests", "value"),
    ("Cost of 1,000 characters", "usd_per_1k_characters", "value"),
    ("Cost of a correct answer", "usd_per_correct", "value"),
    ("Energy of a request", "j_per_request", "value"),
)
OF_A_MATRIX = (
    "This campaign is a matrix: its cells are compared over all blocks on a page of its own, and none "
    "is called the best. Below is the last run of each cell alone."
)
_LATENCY = (("ttft_s", "p50"), ("ttft_s", "p90"), ("e2e_s", "p50"), ("e2e_s", "p90"))
_THROUGHPUT = (("request_rate", "value"), ("chars_per_s", "value"))


@dataclass(frozen=True, slots=True)
class Card:
    """One target's headline figures at its highest load."""

    member: MemberRun
    load: Load | None
    figures: list[tuple[str, TableCell]]


@dataclass(frozen=True, slots=True)
class Chapter:
    """A heading with the charts under it."""

    title: str
    drawings: list[Drawing]


Groups = dict[str, list[tuple[MemberRun, Load, list[TableCell]]]]
"""Rows of a summary by group."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A comparison table: rows in groups of hosting, weights and billing."""

    title: str
    heads: list[str]
    groups: list[tuple[str, list[tuple[MemberRun, Load, list[TableCell]]]]]


@dataclass(frozen=True, slots=True)
class Section:
    """One comparison key's latest campaign."""

    anchor: str
    first: RunRow
    request_terms: list[tuple[str, str]]
    members: list[MemberRun]
    left_out: list[MemberRun]
    statements: list[ComparisonSentence]
    cards: list[Card]
    chapters: list[Chapter]
    summaries: list[Summary]
    differs: list[str]
    matrix: str | None
    """The page of the matrix that the campaign is, from the site's root; None for another campaign."""


def sections(
    reader: Reader, runs: Sequence[RunRow], styles: dict[str, TargetStyle]
) -> list[Section]:
    """Return all sections, the latest campaign first; probes for limits are no workloads and have none."""
    found: list[Section] = []
    workloads = [run for run in runs if not is_probe(run)]
    for place, latest in enumerate(latest_campaigns(workloads), start=1):
        members = [member_of(reader, run, styles) for run in latest.compared]
        left_out = [member_of(reader, run, styles) for run in latest.left_out]
        newest = found[0].first if found else None
        found.append(_section(reader, f"c{place}", members, left_out, newest))
    return found


def _section(
    reader: Reader,
    anchor: str,
    members: list[MemberRun],
    left_out: list[MemberRun],
    newest: RunRow | None,
) -> Section:
    shown = sorted(members, key=order_of)
    first = min(
        (member.run for member in members or left_out),
        key=lambda run: (str(run.created_at), run.run_id),
    )
    matrix = None if first.cell is None else matrix_path(first.campaign_id)
    return Section(
        anchor=anchor,
        first=first,
        request_terms=request_terms(first),
        members=shown,
        left_out=sorted(left_out, key=order_of),
        statements=[ComparisonSentence(OF_A_MATRIX, [])] if matrix else statements(shown),
        cards=[_card(member) for member in shown],
        chapters=_chapters(anchor, shown),
        summaries=_summaries(reader, shown),
        differs=differing(newest, first) if newest else [],
        matrix=matrix,
    )


def _card(member: MemberRun) -> Card:
    measured = [pair for pair in member.stages if pair[1].by_key]
    if not measured:
        return Card(member, None, [])
    load, figures = max(measured, key=lambda pair: pair[0].level)
    shown = [*HEADLINES[:2], *(ON_CARDS if figures.held_up else ()), *HEADLINES[2:]]
    return Card(
        member,
        load,
        [(title, figure_cell(figures.get(*key))) for title, *key in shown],
    )


def _chapters(anchor: str, members: list[MemberRun]) -> list[Chapter]:
    def level(metric: str, statistic: str, about: str) -> Drawing:
        return level_chart(
            f"{anchor}-{metric}-{statistic}", about, series_of(members, metric, statistic)
        )

    trades = [
        TradeoffSeries(
            member.style,
            member.verdict,
            [
                (load, figures.get("e2e_s", "p50"), figures.get("usd_per_1k_requests"))
                for load, figures in member.stages
            ],
        )
        for member in members
    ]
    return [
        Chapter(
            "How long people wait",
            [level(metric, statistic, _ABOUT[metric, statistic]) for metric, statistic in _LATENCY],
        ),
        *_limits(anchor, members),
        Chapter(
            "How much gets done",
            [
                level(metric, statistic, _ABOUT[metric, statistic])
                for metric, statistic in _THROUGHPUT
            ],
        ),
        Chapter(
            "What it costs, in money and energy",
            [
                tradeoff_chart(
                    f"{anchor}-cost",
                    "Cost against latency",
                    "What a thousand requests cost, over how long the median answer takes.",
                    trades,
                ),
                energy_chart(f"{anchor}-energy", _ABOUT["j_per_request", "value"], members),
            ],
        ),
        *_machines(anchor, members),
        Chapter(
            "How right the answers are",
            [
                score_chart(
                    f"{anchor}-score",
                    _ABOUT["score", "value"],
                    series_of(members, "score", "value"),
                )
            ],
        ),
    ]


def _limits(anchor: str, members: list[MemberRun]) -> list[Chapter]:
    """Return what rate limits did; no chapter where no target was throttled or paced."""
    drawings = breakdown_drawings(anchor, members)
    return [Chapter("What rate limits did", drawings)] if drawings else []


def _machines(anchor: str, members: list[MemberRun]) -> list[Chapter]:
    """Return what sensors and engines reported; no chapter where they reported nothing."""
    chapters = [
        Chapter("How busy the hardware was", busy_drawings(anchor, members)),
        Chapter("What the servers report", phase_drawings(anchor, members)),
    ]
    return [chapter for chapter in chapters if chapter.drawings]


def _summaries(reader: Reader, members: list[MemberRun]) -> list[Summary]:
    found = [
        summary("Waiting and throughput", _waiting(members), members),
        *_of_limits(reader, members),
        summary("Reliability, quality, money and energy", WORTH, members),
    ]
    if has_server_figures(members):
        found.append(summary("As the server reports, next to what the client saw", SERVER, members))
    return found


def _waiting(members: list[MemberRun]) -> list[tuple[str, str, str]]:
    """Return the columns of WAITING; with what users waited where a target was throttled or paced."""
    if not held_up(members):
        return list(WAITING)
    found = []
    for column in WAITING:
        found += [column, *filter(None, [AS_USERS_WAIT.get(column[0])])]
    return found


def _of_limits(reader: Reader, members: list[MemberRun]) -> list[Summary]:
    """Return what was refused, and the parts of a latency side by side, of those that were held up."""
    found = held_up(members)
    if not found:
        return []
    refused: Groups = {}
    parts: Groups = {}
    for member in found:
        rows = count_rows(reader, member)
        for load, figures in member.stages:
            cells = count_cells(rows.get(load.stage))
            refused.setdefault(member.group, []).append((member, load, cells))
            parts.setdefault(member.group, []).append((member, load, latency_cells(figures)))
    return [
        Summary("What was refused or held back", list(COUNTS), list(refused.items())),
        Summary(
            "Service, waits and user side by side: end-to-end latency",
            latency_heads(),
            list(parts.items()),
        ),
    ]


_ABOUT = {
    ("ttft_s", "p50"): "Half of the requests saw their first token sooner.",
    ("ttft_s", "p90"): "One request in ten waited longer for its first token.",
    ("e2e_s", "p50"): "Half of the answers were complete sooner.",
    ("e2e_s", "p90"): "One answer in ten took longer to complete.",
    ("request_rate", "value"): "Answers completed each second, failures not counted.",
    (
        "chars_per_s",
        "value",
    ): "Text delivered each second; comparable between models, unlike tokens.",
    ("j_per_request", "value"): "Energy that the target itself drew for each request.",
    ("score", "value"): "Mean score of the very requests that were timed; a failure scores 0.",
}


def summary(
    title: str, wanted: Sequence[tuple[str, str, str]], members: list[MemberRun]
) -> Summary:
    """Return the figures wanted (title, metric, statistic) that any member has, a row a member and load."""
    columns = [column for column in wanted if _anyone_has(members, *column[1:])]
    groups: Groups = {}
    for member in members:
        for load, figures in member.stages:
            cells = [_cell(member, figures.get(*key)) for _, *key in columns]
            groups.setdefault(member.group, []).append((member, load, cells))
    return Summary(title, [head for head, *_ in columns], list(groups.items()))


def _cell(member: MemberRun, figure: Figure) -> TableCell:
    """Return a figure's cell; one that counts tokens names the tokenizer, since models cut text unlike."""
    cell = figure_cell(figure)
    if not has_trait(figure.metric, "per_token") or not figure.drawable:
        return cell
    tokenizer = member.run.tokenizer or "unknown"
    return replace(cell, under="; ".join(filter(None, (cell.under, f"tokenizer: {tokenizer}"))))


def _anyone_has(members: list[MemberRun], metric: str, statistic: str) -> bool:
    return any(_is_shown(figure) for m in members for _, figure in m.series(metric, statistic))


def _is_shown(figure: Figure) -> bool:
    return figure.drawable or figure.reached_by_failures or figure.below_floor
