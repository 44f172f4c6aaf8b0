"""Sealing: journals become hashed Parquet, once, also where a process dies meanwhile.

Parquet is written, synced and hashed first, then the manifest names the hashes, and only then are
the journals removed; a second seal takes up where the first one stopped.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path

import msgspec
import polars as pl

from observatory.core.errors import EnvironmentFailed
from observatory.core.record import NEVER_SENT, RequestRecord, Tokens
from observatory.core.run import Manifest, SealReport
from observatory.core.sample import Sample
from observatory.economics.cost import request_cost_usd
from observatory.economics.price_rows import AppliedPrices
from observatory.store.files import disk_error, sha256_of
from observatory.store.folder.journals import (
    JOURNAL_FOLDER,
    entries,
    samples,
    torn_bytes,
    worker_journals,
)
from observatory.store.folder.manifest import MANIFEST_NAME, read_manifest, write_manifest
from observatory.store.folder.rows import attempts_frame, requests_frame, samples_frame, ticks_frame
from observatory.store.folder.table_file import TableFile
from observatory.store.frames import SEALED_TABLES, polars_schema

SPILL_FOLDER = "sealing"
RECORDS_A_FRAME = 20_000
EVENTS_A_FRAME = 500_000
"""Whichever comes first ends a frame; half a million events are some 100 MB of Python objects."""
SAMPLES_A_FRAME = 50_000
SAMPLE_MARGIN_NS = 2_000_000_000
"""Readings this long before and after a stage belong to the run: an integral needs its ends."""
HOLD_FOR_ALL = ("_update_period_s", "kgco2e_per_kwh", "full_load_power_w")
"""Ends of metrics that a sensor reads once, before the load, and that hold for all of it."""


def seal(folder: Path, manifest: Manifest, samples_journal: Path | None) -> Manifest:
    """Seal a run folder; return the manifest as it then is on disk.

    samples_journal holds the whole campaign's samples; those of this run's own stages are kept.
    Where the folder is sealed already, its files are verified, left-over journals removed and the
    manifest on disk is returned. Raises EnvironmentFailed where the disk is full or a journal
    holds what this version does not know; the journals are then still there.
    """
    if (folder / MANIFEST_NAME).is_file() and (on_disk := read_manifest(folder)).sealed:
        verify(folder, on_disk)
        _remove_journals(folder)
        return on_disk
    spill = folder / SPILL_FOLDER
    try:
        shutil.rmtree(spill, ignore_errors=True)
        spill.mkdir()
        sealed = _write_tables(folder, manifest, samples_journal, spill)
        write_manifest(folder, sealed)
    except pl.exceptions.PolarsError as error:
        raise EnvironmentFailed(f"sealing failed: {error}", where=str(folder)) from error
    except OSError as error:
        raise disk_error(error, folder) from error
    finally:
        shutil.rmtree(spill, ignore_errors=True)
    _remove_journals(folder)
    return sealed


def verify(folder: Path, manifest: Manifest) -> None:
    """Raise EnvironmentFailed, naming the file, where a sealed file is missing or has changed."""
    for name, expected in sorted(manifest.sealed.items()):
        path = folder / name
        try:
            changed = sha256_of(path) != expected
        except OSError as error:
            raise disk_error(error, path) from error
        if changed:
            raise EnvironmentFailed(
                "has changed since it was sealed",
                where=str(path),
                fix=f"restore it from a copy, or `observatory runs delete {manifest.run_id}`",
            )


def _write_tables(
    folder: Path, manifest: Manifest, samples_journal: Path | None, spill: Path
) -> Manifest:
    tables = {
        name: TableFile(folder / name, polars_schema(table), spill)
        for name, table in SEALED_TABLES.items()
    }
    tally = _write_records(folder, manifest, tables["requests.parquet"], tables["attempts.parquet"])
    for journal in worker_journals(folder, "ticks"):
        frame = ticks_frame(
            manifest.run_id, journal.stage, journal.worker, list(entries(journal.path))
        )
        tables["ticks.parquet"].add(frame)
        tally.note_torn(folder, journal.path)
    if samples_journal is not None and samples_journal.is_file():
        own = own_samples(samples(samples_journal), manifest)
        while rows := list(islice(own, SAMPLES_A_FRAME)):
            tables["samples.parquet"].add(samples_frame(manifest.run_id, rows))
    for table in tables.values():
        table.finish()
    return msgspec.structs.replace(
        manifest,
        stages=[
            msgspec.structs.replace(
                stage,
                recorded=tally.issued.get(stage.index, 0),
                streamed=tally.streamed(stage.index),
            )
            for stage in manifest.stages
        ],
        sealed={name: sha256_of(folder / name) for name in tables},
        seal_report=SealReport(
            records=sum(tally.records.values()), torn=tally.torn, duplicates=tally.duplicates
        ),
    )


@dataclass(slots=True)
class _Tally:
    records: dict[int, int] = field(default_factory=dict)
    issued: dict[int, int] = field(default_factory=dict)
    torn: dict[str, int] = field(default_factory=dict)
    duplicates: int = 0
    streams: dict[int, tuple[int, int]] = field(default_factory=dict)

    def note_streams(self, stage: int, attempts: pl.DataFrame) -> None:
        """Count, of whole answers with text: how many came as streams, and how many at once."""
        came = attempts.filter(pl.col("outcome") == "ok").get_column("streamed")
        streamed, at_once = self.streams.get(stage, (0, 0))
        count = int(came.sum())
        self.streams[stage] = (streamed + count, at_once + came.count() - count)

    def streamed(self, stage: int) -> bool | None:
        """Return whether a stage was really streamed: more than half of such answers; None without any."""
        streamed, at_once = self.streams.get(stage, (0, 0))
        return streamed > at_once if streamed or at_once else None

    def note_torn(self, folder: Path, journal: Path) -> None:
        if count := torn_bytes(journal):
            self.torn[str(journal.relative_to(folder))] = count


def _write_records(
    folder: Path, manifest: Manifest, requests: TableFile, attempts: TableFile
) -> _Tally:
    tally = _Tally()
    prices = AppliedPrices.from_dict(manifest.target.price)

    def cost(tokens: Tokens) -> float | None:
        return request_cost_usd(
            prices, tokens.prompt, tokens.cached, tokens.output, tokens.cache_write
        )

    journals = groupby(worker_journals(folder, "requests"), key=lambda journal: journal.stage)
    for stage, group in journals:
        seen = bytearray()
        for journal in group:
            for records in _frames_of_records(journal.path):
                fresh = [record for record in records if _is_first(seen, record.index)]
                tally.duplicates += len(records) - len(fresh)
                tally.records[stage] = tally.records.get(stage, 0) + len(fresh)
                sent = sum(record.outcome not in NEVER_SENT for record in fresh)
                tally.issued[stage] = tally.issued.get(stage, 0) + sent
                requests.add(requests_frame(manifest.run_id, stage, fresh, cost, prices.basis))
                fresh_attempts = attempts_frame(manifest.run_id, stage, fresh)
                tally.note_streams(stage, fresh_attempts)
                attempts.add(fresh_attempts)
            tally.note_torn(folder, journal.path)
    return tally


def _frames_of_records(journal: Path) -> Iterator[list[RequestRecord]]:
    records: list[RequestRecord] = []
    events = 0
    for entry in entries(journal):
        if not isinstance(entry, RequestRecord):
            continue
        records.append(entry)
        events += sum(len(attempt.event_ns) for attempt in entry.attempts)
        if len(records) >= RECORDS_A_FRAME or events >= EVENTS_A_FRAME:
            yield records
            records, events = [], 0
    if records:
        yield records


def _is_first(seen: bytearray, index: int) -> bool:
    """Return whether the stage's request `index` comes for the first time; one byte each is remembered."""
    if index >= len(seen):
        seen.extend(bytes(index + 1 - len(seen)))
    first = not seen[index]
    seen[index] = 1
    return first


def own_samples(
    readings: Iterator[Sample], manifest: Manifest
) -> Iterator[tuple[Sample, int | None]]:
    """Return the samples of a run's own stages and idle baseline, each with the stage it was read in.

    None is for the baseline and for a margin.

    What a sensor reads once of itself belongs to every run, whenever it was read.

    A campaign's samples cover all its targets. An engine of another target is part of the host
    that this run shares, so its subject becomes shared_host; so does a probe's host that only
    other targets run on.
    """
    own = f"engine:{manifest.target.name}"
    telemetry = manifest.stored.telemetry
    others = {
        probe.name
        for probe in telemetry.probes or []
        if probe.targets and manifest.target.name not in probe.targets
    }
    # Two readings on either side of a stage: the values before and after the load.
    margin = max(SAMPLE_MARGIN_NS, round(2e9 * telemetry.interval_s))
    spans = [
        (stage.index, stage.started, stage.ended)
        for stage in manifest.stages
        if stage.started is not None and stage.ended is not None
    ]
    kept_spans = [(start, end) for _, start, end in spans]
    if manifest.idle is not None:
        kept_spans.append((manifest.idle.started, manifest.idle.ended))
    for sample in readings:
        inside = [index for index, start, end in spans if start <= sample.at <= end]
        near = inside or any(
            start - margin <= sample.at <= end + margin for start, end in kept_spans
        )
        if not near and not sample.metric.endswith(HOLD_FOR_ALL):
            continue
        foreign = sample.device.startswith("engine:") and sample.device != own
        foreign = foreign or sample.device.partition(":")[0] in others
        kept = msgspec.structs.replace(sample, subject="shared_host") if foreign else sample
        yield kept, inside[0] if inside else None


def _remove_journals(folder: Path) -> None:
    shutil.rmtree(folder / JOURNAL_FOLDER, ignore_errors=True)
