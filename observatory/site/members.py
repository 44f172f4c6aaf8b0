"""A run as pages show it: its style, what it is worth, and its stages with their figures."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from observatory.analysis.comparison.compare import ComparedRun, differences
from observatory.core.arrivals.catalogue import arrival_label
from observatory.core.run import status_words
from observatory.core.stored_scenario import StoredSlo, StoredStage, StoredWorkload
from observatory.presentation.figures import Figure, StageFigures
from observatory.site.engines import engine_name
from observatory.site.loads import Load, load_of
from observatory.site.queries.reader import Reader
from observatory.site.queries.run_queries import figures, stages
from observatory.site.queries.run_row import RunRow
from observatory.site.target_styles import TargetStyle, group_of
from observatory.store.folder.seals import in_words

UNJUDGED = "not judged"
_SAFE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$")


def changed_words(run: RunRow) -> str:
    """Return sentences about a run that has changed since it was sealed, or whose target's name had another
    address before; "" where neither is so."""
    words, other = not_as_sealed(run), run.other_address_in
    sentences = [f"{words[:1].upper()}{words[1:]}."] if words else []
    if other:
        sentences.append(f"The target was at another address in {other}.")
    return " ".join(sentences)


def not_as_sealed(run: RunRow) -> str:
    """Return what of the run's folder is not as it was sealed, in words; "" where all of it is."""
    what = run.changed_since_sealed
    return in_words(what) if what else ""


@dataclass(frozen=True, slots=True)
class MemberRun:
    """One run. stages hold each load level with its figures, in order."""

    run: RunRow
    style: TargetStyle
    stages: list[tuple[Load, StageFigures]]

    @property
    def look(self) -> TargetStyle:
        """Return its style by the name that templates of older workspaces read."""
        return self.style

    @property
    def verdict(self) -> str:
        """valid, degraded, invalid, or UNJUDGED where nothing could judge it."""
        return self.run.verdict or UNJUDGED

    @property
    def sentence(self) -> str:
        """Return the verdict's reasons in one line, without the level, which a badge shows."""
        sentence = self.run.verdict_sentence or "nothing could judge this run"
        reasons = sentence.removeprefix(f"{self.verdict}: ")
        reasons = reasons[:1].upper() + reasons[1:]
        return f"{self.changed} {reasons}" if self.changed else reasons

    @property
    def changed(self) -> str:
        """That the run is not as it was sealed, "" where it is."""
        return changed_words(self.run)

    @property
    def not_as_sealed(self) -> str:
        """Return the same of its folder alone, for a mark next to its name."""
        return not_as_sealed(self.run)

    @property
    def group(self) -> str:
        """Hosting, weights and billing in words."""
        return group_of(self.run)

    @property
    def engine(self) -> str | None:
        """Return the engine with the truth about its build; None where none is known."""
        return engine_name(self.run)

    @property
    def complete(self) -> bool:
        """It ran to its planned end."""
        return self.run.status == "complete"

    @property
    def status(self) -> str:
        """Return how the run ended, in words."""
        return status_words(self.run.status, self.run.status_reason)

    @property
    def page(self) -> str:
        """Return the run's page, relative to the site's root."""
        return page_of(self.run.run_id)

    def series(self, metric: str, statistic: str) -> list[tuple[Load, Figure]]:
        """Return one figure over the loads."""
        return [(load, found.get(metric, statistic)) for load, found in self.stages]


def page_of(run_id: str) -> str:
    """Return the path of a run's page from the site's root, for any id."""
    return f"runs/{safe_name(run_id)}.html"


def safe_name(identifier: str) -> str:
    """Return a file's name for any id: the id itself where that is harmless, else its hash."""
    if _SAFE.match(identifier):
        return identifier
    return hashlib.sha256(identifier.encode()).hexdigest()[:16]


def member_of(reader: Reader, run: RunRow, styles: dict[str, TargetStyle]) -> MemberRun:
    """Return the member of a row of runs."""
    found = figures(reader, run.run_id)
    return MemberRun(
        run,
        styles[run.target],
        [
            (load_of(stage), found.get(stage.stage, StageFigures({})))
            for stage in stages(reader, run.run_id)
        ],
    )


def order_of(member: MemberRun) -> tuple[str, bool, str]:
    """Return the order of members on a page: by family, real before emulated, by name."""
    place = {"self": "0", "managed": "1", "closed": "2"}[member.style.family]
    return place, member.style.emulated, member.style.target


def request_terms(run: RunRow) -> list[tuple[str, str]]:
    """Return what a run's scenario requested, as (term, words)."""
    requested = run.compared
    terms = [
        ("Requested", _workload_words(requested.workload)),
        ("Cache", requested.workload.cache or ""),
        ("Arrivals", arrival_label(requested.arrivals.kind)),
        ("Steady state", _timing_words(requested.stages)),
        ("Objective", _slo_words(requested.slo)),
    ]
    return [(term, words) for term, words in terms if words]


def _workload_words(workload: StoredWorkload) -> str:
    if workload.kind == "tasks":
        return ", ".join(task.replace("-", " ") for task in workload.tasks)
    if workload.kind == "file":
        return "your own requests, from a file"
    return "synthetic text of drawn lengths" if workload.kind == "synthetic" else ""


def _timing_words(stages: Sequence[StoredStage]) -> str:
    steady = sorted({_spaced(stage.steady) for stage in stages if stage.steady})
    return f"{' or '.join(steady)} a stage" if steady else ""


_BOUNDS = {
    "ttft": "time to first token",
    "tpot": "time per output token",
    "e2e": "end-to-end latency",
}


def _slo_words(slo: StoredSlo | None) -> str:
    if slo is None or slo.per_request is None:
        return ""
    bounds = [
        f"{words} within {_spaced(bound)}"
        for name, words in _BOUNDS.items()
        if (bound := slo.per_request.get(name))
    ]
    return f"{', '.join(bounds)}, for {slo.attainment * 100:.4g} % of requests"


def _spaced(duration: str) -> str:
    """Return a duration as files write it, with a space before its unit."""
    return re.sub(r"(?<=\d)(?=[a-z])", " ", duration)


def side_of(run: RunRow) -> ComparedRun:
    """Return the side that a row of runs takes in a comparison."""
    return ComparedRun(
        run_id=run.run_id,
        target=run.target,
        emulated=run.emulated,
        comparison_key=run.comparison_key,
        comparison_fields=json.loads(run.comparison_fields or "{}"),
        verdict=run.verdict,
        model=run.model,
        tokenizer=run.tokenizer,
        not_streamed=frozenset(run.not_streamed or ()),
    )


def differing(run: RunRow, other: RunRow) -> list[str]:
    """Return which fields keep two runs from being compared, e.g. workload.cache; lists as a whole."""
    fields = [difference.field for difference in differences(side_of(run), side_of(other))]
    return list(dict.fromkeys(field.split("[", 1)[0] for field in fields))


def matrix_path(campaign_id: str) -> str:
    """Return the path of a campaign's page from the site's root."""
    return f"matrices/{safe_name(campaign_id)}.html"
