"""The record of one request, from its InFlight and its decoded answer: scored, hashed, texts kept or not."""

import hashlib
import logging
from dataclasses import dataclass, field
from typing import Any, Literal

from msgspec.structs import replace

from observatory.connect.masking import Masker
from observatory.core.record import Attempt, RequestRecord
from observatory.load.admission import Admission
from observatory.load.clock_watch import ClockWatch
from observatory.load.connections.endpoint import Endpoint
from observatory.load.handoff import Handoff
from observatory.load.in_flight import InFlight
from observatory.load.retry_policy import RetryPolicy
from observatory.quality.scorers import Score, score
from observatory.wires.failures.prompt_echo import without_prompt
from observatory.wires.http_attempt import DecodedAnswer
from observatory.wires.wire import decode

_REFUSALS = {429: "rate_limited", 503: "overloaded", 529: "overloaded"}
"""Why a service answers "not now", by status: this client's own limit, or the service's load (RFC 6585, 4;
RFC 9110, 15.6.4; Anthropic's 529)."""
_QUOTING = frozenset({"bad_json", "not_sse", "empty_answer", "early_close"})
"""Kinds of errors whose text ends with the beginning of the answer."""
_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class RecordMaker:
    """Makes a worker's records. Each answer is counted against the budget and the target's limits first."""

    handoff: Handoff
    worker: int
    endpoint: Endpoint
    clock: ClockWatch
    admission: Admission
    retry_policy: RetryPolicy
    _decoding: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self._decoding = self.endpoint.decoding

    def answered(self, in_flight: InFlight, answer: DecodedAnswer) -> RequestRecord:
        """Return the record of a request that was issued; its earlier attempts are decoded now."""
        self.clock.check()
        budget = self.admission.budget
        budget.settle(
            in_flight.worst_prompt_tokens, in_flight.worst_output_tokens, [answer.attempt]
        )
        self.admission.counted(in_flight, answer.attempt)
        stepped = self.clock.stepped_between(in_flight.due_monotonic, in_flight.ended_monotonic)
        earlier = [decode(each, **self._decoding).attempt for each in in_flight.earlier]
        attempts = [self.retry_policy.as_recorded(each) for each in (*earlier, answer.attempt)]
        masker = self.endpoint.masker
        return request_record(
            self.handoff, self.worker, in_flight, answer, attempts, masker, clock_step=stepped
        )

    def unsent(
        self, in_flight: InFlight, outcome: Literal["refused_by_budget", "not_issued"], reason: str
    ) -> RequestRecord:
        """Return the record of a request that was planned and never sent."""
        return RequestRecord(
            index=in_flight.index,
            stage=self.handoff.stage.index,
            prompt_id=in_flight.item.prompt_id,
            prompt_sha256=in_flight.item.sha256,
            scheduled=in_flight.scheduled,
            released=None,
            outcome=outcome,
            attempts=[],
            worker=self.worker,
            task=in_flight.item.task,
            item=in_flight.item_index,
            reason=reason,
            phase=in_flight.phase,
            scorer=in_flight.item.scorer,
            max_tokens=in_flight.item.max_tokens,
        )


def request_record(
    handoff: Handoff,
    worker: int,
    in_flight: InFlight,
    answer: DecodedAnswer,
    attempts: list[Attempt],
    masker: Masker,
    *,
    clock_step: bool,
) -> RequestRecord:
    """Return what happened to an issued request; attempts: all of them, the answer's the last.

    The score is of the answer's text, of its tool calls where it has no text; it is None of anything
    but a whole answer. Texts are kept only where the scenario stores text and the item is not
    sensitive.
    """
    attempt = attempts[-1]
    text = answer.text or answer.tool_text
    judged = _score(in_flight, answer, text) if attempt.outcome == "ok" else None
    hashed = text or attempt.outcome == "ok"
    keep = handoff.store_text and not in_flight.item.sensitive
    if not keep and any(one.error_text or one.odd_event for one in attempts):
        attempts = [_without_texts(one, in_flight) for one in attempts]
    return RequestRecord(
        index=in_flight.index,
        stage=handoff.stage.index,
        prompt_id=in_flight.item.prompt_id,
        prompt_sha256=in_flight.item.sha256,
        scheduled=in_flight.scheduled,
        released=in_flight.released,
        outcome=in_flight.ended_as or attempt.outcome,
        attempts=attempts,
        worker=worker,
        user=in_flight.user,
        task=in_flight.item.task,
        item=in_flight.item_index,
        reason=in_flight.reason or _refusal(attempt) or attempt.error_kind,
        phase=in_flight.phase,
        clock_step=clock_step,
        answer_sha256=hashlib.sha256(text.encode()).hexdigest() if hashed else None,
        answer=masker.exact(text) if keep and hashed else None,
        reasoning=masker.exact(answer.reasoning) if keep and answer.reasoning else None,
        score=judged.value if judged is not None else None,
        scorer=judged.scorer if judged is not None else in_flight.item.scorer,
        score_note=judged.note if judged is not None else None,
        pace_wait_ns=in_flight.pace_wait_ns,
        max_tokens=in_flight.item.max_tokens,
    )


def _without_texts(attempt: Attempt, in_flight: InFlight) -> Attempt:
    """Return the attempt without what its error's text quotes of the prompt, or of a sensitive item's answer."""
    if attempt.odd_event is not None and in_flight.item.sensitive:
        attempt = replace(attempt, odd_event=None)
    text = attempt.error_text
    if text is None:
        return attempt
    if in_flight.item.sensitive and attempt.error_kind in _QUOTING:
        text = text.partition(": ")[0]
    return replace(attempt, error_text=without_prompt(text, in_flight.item.body))


def _refusal(attempt: Attempt) -> str | None:
    """Return why a service answered "not now", also inside an answer with another status."""
    found = _REFUSALS.get(attempt.http_status or 0)
    if found or attempt.outcome != "throttled":
        return found
    return attempt.error_kind if attempt.error_kind == "rate_limited" else "overloaded"


def _score(in_flight: InFlight, answer: DecodedAnswer, text: str) -> Score | None:
    item = in_flight.item
    if item.scorer is None:
        return None
    try:
        return score(
            item.scorer,
            item.expected,
            text,
            finish_reason=answer.attempt.finish_reason,
            labels=item.labels,
            reasoned=bool(answer.reasoning) or not answer.text,
        )
    except Exception:
        _log.exception("the answer to item %s could not be scored", item.prompt_id)
        return Score(None, item.scorer, "scorer_failed")
