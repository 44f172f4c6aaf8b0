"""Journal entries as frames of the schema: a column at a time, because rows are many.

Instants stay as they were stamped; of derived values only the gaps between events are made here.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import msgspec
import polars as pl

from observatory.core.record import (
    Attempt,
    JournalEntry,
    RequestRecord,
    Tokens,
    WorkerEnd,
    WorkerStart,
    WorkerTick,
)
from observatory.core.sample import Sample
from observatory.economics.counts import billable, counts_of
from observatory.store.frames import polars_schema
from observatory.store.schema.tables import ATTEMPTS, REQUESTS, SAMPLES, TICKS, Table

Cost = Callable[[Tokens], float | None]
"""US dollars of one answer's billed tokens; None where the run is not billed by tokens."""


def _same_named(table: Table, record: type[msgspec.Struct]) -> dict[str, str]:
    """Return column -> field, of the columns named as the field, or as the field with _ns."""
    fields = set(record.__struct_fields__)
    pairs = {
        c.name: c.name if c.name in fields else c.name.removesuffix("_ns") for c in table.columns
    }
    return {column: field for column, field in pairs.items() if field in fields}


_REQUEST_FIELDS = _same_named(REQUESTS, RequestRecord) | {
    "request": "index",
    "simulated_user": "user",
}
_ATTEMPT_FIELDS = _same_named(ATTEMPTS, Attempt) | {"attempt": "number"}
_TOKEN_FIELDS = {
    "prompt_tokens": "prompt",
    "cached_tokens": "cached",
    "cache_write_tokens": "cache_write",
    "output_tokens": "output",
    "reasoning_tokens": "reasoning",
    "streamed_tokens": "streamed",
    "output_tokens_from": "output_from",
    "streamed_tokens_from": "streamed_from",
    "tokenizer": "tokenizer",
}


def requests_frame(
    run_id: str, stage: int, records: Sequence[RequestRecord], cost: Cost, cost_basis: str | None
) -> pl.DataFrame:
    """Return rows of table requests. A request costs what its attempts together cost, null if none had a cost; one
    whose counts are not stated, or cannot be true, has none."""
    costs = [
        _sum_or_none([cost(a.tokens) for a in r.attempts if billable(counts_of(a))])
        for r in records
    ]
    columns: dict[str, Any] = {
        column: [getattr(record, field) for record in records]
        for column, field in _REQUEST_FIELDS.items()
    }
    columns |= {
        "run_id": [run_id] * len(records),
        "stage": [stage] * len(records),
        "attempts": [len(record.attempts) for record in records],
        "cost_usd": costs,
        "cost_basis": [None if value is None else cost_basis for value in costs],
    }
    return _frame(columns, polars_schema(REQUESTS))


def attempts_frame(run_id: str, stage: int, records: Sequence[RequestRecord]) -> pl.DataFrame:
    """Return rows of table attempts, of all attempts of the requests."""
    attempts = [attempt for record in records for attempt in record.attempts]
    columns: dict[str, Any] = {
        column: [getattr(attempt, field) for attempt in attempts]
        for column, field in _ATTEMPT_FIELDS.items()
    }
    tokens = [attempt.tokens for attempt in attempts]
    for column, field in _TOKEN_FIELDS.items():
        columns[column] = [getattr(count, field) for count in tokens]
    columns |= {
        "run_id": [run_id] * len(attempts),
        "stage": [stage] * len(attempts),
        "request": [record.index for record in records for _ in record.attempts],
        "final": [flag for record in records for flag in _final(record.attempts)],
        "first_sent": [flag for record in records for flag in _first_sent(record.attempts)],
        "rate_limit_headers": [
            msgspec.json.encode(a.rate_limit_headers).decode() if a.rate_limit_headers else None
            for a in attempts
        ],
        "event_gap_ns": _gaps(attempts),
        "event_tokens": _lists([a.event_tokens for a in attempts], pl.Int32()),
        "event_characters": _lists([a.event_characters for a in attempts], pl.Int32()),
        "event_shared": _lists([a.event_shared for a in attempts], pl.Boolean()),
    }
    return _frame(columns, polars_schema(ATTEMPTS))


def ticks_frame(
    run_id: str, stage: int, worker: int, entries: Sequence[JournalEntry]
) -> pl.DataFrame:
    """Return rows of table ticks: a worker's start, heartbeats and end, in the order they were written."""
    rows: list[dict[str, Any]] = []
    for entry in entries:
        match entry:
            case WorkerStart():
                row: dict[str, Any] = {
                    "kind": "start",
                    "at_ns": entry.at,
                    "stage_started_ns": entry.stage_started,
                    "pid": entry.pid,
                }
            case WorkerTick() | WorkerEnd():
                row = msgspec.structs.asdict(entry)
                row["kind"] = "tick" if isinstance(entry, WorkerTick) else "end"
                row["at_ns"] = row.pop("at")
            case _:
                continue
        rows.append({**row, "run_id": run_id, "stage": stage, "worker": worker})
    schema = polars_schema(TICKS)
    return _frame({name: [row.get(name) for row in rows] for name in schema}, schema)


def samples_frame(run_id: str, rows: Sequence[tuple[Sample, int | None]]) -> pl.DataFrame:
    """Return rows of table samples, from samples and the stage each was read in."""
    columns: dict[str, Any] = {
        "run_id": [run_id] * len(rows),
        "at_ns": [sample.at for sample, _ in rows],
        "stage": [stage for _, stage in rows],
    }
    for name in ("sensor", "subject", "device", "metric", "value", "reason"):
        columns[name] = [getattr(sample, name) for sample, _ in rows]
    return _frame(columns, polars_schema(SAMPLES))


def _frame(columns: dict[str, Any], schema: pl.Schema) -> pl.DataFrame:
    return pl.DataFrame({name: columns[name] for name in schema}, schema=schema)


def _gaps(attempts: Sequence[Attempt]) -> pl.Series:
    """Return arrivals as gaps, the first from sent: half the bytes of offsets when compressed."""
    arrivals = _lists([attempt.event_ns for attempt in attempts], pl.Int64())
    at, sent = pl.col("at"), pl.col("sent")
    gaps = pl.concat_list(at.list.first() - sent, at.list.diff().list.slice(1))
    frame = pl.DataFrame(
        {"at": arrivals, "sent": pl.Series([a.sent for a in attempts], dtype=pl.Int64())}
    )
    return frame.select(pl.when(at.list.len() == 0).then(at).otherwise(gaps)).to_series()


def _lists(values: Sequence[Sequence[Any]], inner: pl.DataType) -> pl.Series:
    """Return a list column, cut out of one flat series: building it list by list takes twice as long."""
    if not values:
        return pl.Series(dtype=pl.List(inner))
    flat = pl.Series(list(chain.from_iterable(values)), dtype=inner)
    length = pl.Series("length", [len(each) for each in values], dtype=pl.Int64())
    start = pl.col("length").cum_sum() - pl.col("length")
    lists = pl.lit(flat).implode().list.slice(start, pl.col("length"))
    return pl.DataFrame({"length": length}).select(lists).to_series()


def _final(attempts: Sequence[Attempt]) -> list[bool]:
    place = next((i for i, a in enumerate(attempts) if a.outcome == "ok"), len(attempts) - 1)
    return [i == place for i in range(len(attempts))]


def _first_sent(attempts: Sequence[Attempt]) -> list[bool]:
    place = next((i for i, a in enumerate(attempts) if a.sent is not None), None)
    return [i == place for i in range(len(attempts))]


def _sum_or_none(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
