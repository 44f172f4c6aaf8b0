"""Sealing: journals are converted to Parquet with the same records, once, also when a process dies meanwhile."""

import errno
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from observatory.core.errors import EnvironmentFailed, ExitCode
from observatory.core.record import Tokens
from observatory.core.run import Manifest
from observatory.core.sample import Sample
from observatory.core.workspace import Workspace
from observatory.store.files import sha256_of
from observatory.store.folder import sealing
from observatory.store.folder.manifest import create_run, read_manifest
from observatory.store.folder.sealing import seal, verify
from observatory.store.folder.table_file import TableFile
from observatory.store.frames import SEALED_TABLES, polars_schema, read_frames
from tests.store.made_runs import (
    S,
    answer,
    facts,
    heartbeat,
    manifest,
    record,
    sealed_run,
    stage,
    write_journal,
    write_samples,
)


def _open_run(workspace: Workspace, made: Manifest, *records: Any) -> Path:
    folder = create_run(workspace, made)
    write_journal(folder, list(records) or [record(0), record(1)], "requests")
    write_journal(folder, heartbeat(), "ticks")
    return folder


def test_a_request_and_its_answer_are_sealed_as_they_happened(workspace: Workspace) -> None:
    folder = sealed_run(workspace, records=[record(5, worker=1, user=3, turn=0)])
    frames = read_frames(folder)
    request = frames.requests.to_dicts()[0]
    scheduled = 3 * S + S // 2
    assert (
        request
        | {
            "run_id": "run-1",
            "stage": 0,
            "request": 5,
            "worker": 1,
            "simulated_user": 3,
            "scheduled_ns": scheduled,
            "pace_wait_ns": 0,
            "outcome": "ok",
            "phase": "steady",
            "attempts": 1,
            "score": 1.0,
            "answer": None,
            "cost_usd": pytest.approx((100 * 1.0 + 4 * 10.0) / 1e6),
            "cost_basis": "emulated",
        }
        == request
    )
    attempt = frames.attempts.to_dicts()[0]
    assert (
        attempt
        | {
            "request": 5,
            "attempt": 0,
            "final": True,
            "first_sent": True,
            "sent_ns": scheduled + 1_000_000,
            "connected_ns": None,
            "first_token_ns": scheduled + 101_000_000,
            "event_gap_ns": [100_000_000, 10_000_000, 10_000_000, 10_000_000],
            "event_tokens": [1, 1, 1, 1],
            "event_shared": [False] * 4,
            "prompt_tokens": 100,
            "output_tokens": 4,
            "reasoning_tokens": None,
            "output_tokens_from": "usage",
            "rate_limit_headers": None,
            "provider_request_id": "chatcmpl-1",
        }
        == attempt
    )
    for name, table in SEALED_TABLES.items():
        assert pl.read_parquet(folder / name).schema == polars_schema(table)


def test_of_several_tries_the_one_that_succeeded_is_final(workspace: Workspace) -> None:
    refused = answer(
        0,
        outcome="throttled",
        http_status=429,
        tokens=Tokens(),
        event_ns=[],
        event_tokens=[],
        rate_limit_headers={"x-ratelimit-remaining": "0"},
        retry_after_s=1.0,
    )
    unsent = msgspec.structs.replace(refused, sent=None, outcome="error", error_phase="connect")
    second = msgspec.structs.replace(answer(5 * S), number=2)
    tries = [unsent, msgspec.structs.replace(refused, number=1), second]
    folder = sealed_run(
        workspace,
        records=[record(0, attempts=tries), record(1, attempts=tries[:2], outcome="throttled")],
    )
    attempts = read_frames(folder).attempts
    assert attempts["final"].to_list() == [False, False, True, False, True]
    assert attempts["first_sent"].to_list() == [False, True, False, False, True]
    assert attempts["event_gap_ns"].to_list()[:2] == [[], []]
    assert attempts["rate_limit_headers"][1] == '{"x-ratelimit-remaining":"0"}'
    requests = read_frames(folder).requests
    assert requests["attempts"].to_list() == [3, 2]
    assert requests["cost_usd"].to_list() == [pytest.approx(140 / 1e6), None]
    assert requests["cost_basis"].to_list() == ["emulated", None]


def test_hours_billing_gives_a_request_no_cost(workspace: Workspace) -> None:
    rate = {"rows": [{"kind": "machine_hour", "usd": 2.0, "basis": "stated", "source": "me"}]}
    own = facts("llama", billing="hours", emulated=False, price={**rate, "basis": "stated"})
    folder = sealed_run(workspace, manifest(target=own))
    assert read_frames(folder).requests["cost_usd"].null_count() == 3


def test_a_request_that_was_never_sent_has_no_attempt(workspace: Workspace) -> None:
    folder = sealed_run(
        workspace, records=[record(0, outcome="not_issued", reason="drain", attempts=[])]
    )
    frames = read_frames(folder)
    assert frames.requests["outcome"].to_list() == ["not_issued"]
    assert frames.attempts.is_empty()


def test_heartbeats_are_kept_with_their_worker(workspace: Workspace) -> None:
    folder = create_run(workspace, manifest())
    write_journal(folder, heartbeat(0, 0), "ticks", worker=0)
    write_journal(folder, heartbeat(0, 10, ended=False), "ticks", worker=10)
    write_journal(folder, heartbeat(0, 2), "ticks", worker=2)
    seal(folder, manifest(), None)
    ticks = read_frames(folder).ticks
    assert ticks["worker"].to_list() == [0] * 4 + [2] * 4 + [10] * 3
    assert ticks["kind"].to_list()[:4] == ["start", "tick", "tick", "end"]
    assert ticks["pid"].to_list()[:2] == [4242, None]
    assert ticks["cpu_ns"].to_list()[:4] == [None, 10_000_000, 30_000_000, 40_000_000]
    assert ticks["reason"].to_list()[2:4] == [None, "complete"]


def test_sealing_hashes_the_files_and_only_then_removes_the_journals(workspace: Workspace) -> None:
    folder = sealed_run(workspace)
    made = read_manifest(folder)
    assert set(made.sealed) == set(SEALED_TABLES)
    assert all(sha256_of(folder / name) == digest for name, digest in made.sealed.items())
    assert made.seal_report is not None and made.seal_report.records == 3
    assert made.stages[0].recorded == 3
    names = {path.name for path in folder.iterdir()}
    assert names == {"manifest.json", "logs", *SEALED_TABLES}


def test_equal_journals_give_equal_bytes(tmp_path: Path) -> None:
    from tests.store.made_runs import workspace_in

    hashes = [
        read_manifest(sealed_run(workspace_in(tmp_path / name))).sealed for name in ("a", "b")
    ]
    assert hashes[0] == hashes[1]


def test_many_frames_become_one_file_in_order(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "RECORDS_A_FRAME", 7)
    folder = sealed_run(workspace, records=[record(i) for i in range(50)])
    assert read_frames(folder).requests["request"].to_list() == list(range(50))
    assert read_frames(folder).attempts["request"].to_list() == list(range(50))


def test_a_record_that_comes_twice_is_kept_once_and_counted(workspace: Workspace) -> None:
    folder = create_run(workspace, manifest())
    write_journal(folder, [record(0), record(2), record(0, outcome="error")], "requests")
    write_journal(folder, [record(2, worker=1), record(1, worker=1)], "requests", worker=1)
    made = seal(folder, manifest(), None)
    assert made.seal_report is not None
    assert (made.seal_report.records, made.seal_report.duplicates) == (3, 2)
    assert read_frames(folder).requests["request"].to_list() == [0, 2, 1]
    assert read_frames(folder).requests["outcome"].to_list() == ["ok"] * 3


def test_samples_are_those_of_the_runs_own_stages(workspace: Workspace) -> None:
    made = manifest(stages=[stage(0), stage(2)])  # 0-10 s and 30-40 s
    seconds = [-3, -1.5, 0, 10, 11.9, 12.1, 20, 28.5, 31, 41, 43]
    readings = [Sample(round(at * S), "host", "shared_host", "", "cpu", at) for at in seconds]
    other = Sample(S, "process", "target", "engine:other", "cpu", 1.0)
    mine = Sample(S, "process", "target", "engine:emulated-api", "cpu", 1.0)
    folder = sealed_run(workspace, made, records=[], samples=[*readings, other, mine])
    kept = read_frames(folder).samples
    host = kept.filter(pl.col("sensor") == "host")
    assert host["value"].to_list() == [-1.5, 0, 10, 11.9, 28.5, 31, 41]
    assert host["stage"].to_list() == [None, 0, 0, None, None, 2, None]
    engines = kept.filter(pl.col("sensor") == "process")
    assert dict(zip(engines["device"], engines["subject"], strict=True)) == {
        "engine:other": "shared_host",
        "engine:emulated-api": "target",
    }


def test_sensors_that_are_asked_seldom_have_two_readings_on_either_side(
    workspace: Workspace,
) -> None:
    made = manifest(stages=[stage(0)])  # 0-10 s
    made = msgspec.structs.replace(
        made, scenario={**made.scenario, "telemetry": {"interval": "5s"}}
    )
    readings = [Sample(at * S, "host", "shared_host", "", "cpu", at) for at in range(-14, 26, 5)]
    kept = read_frames(sealed_run(workspace, made, records=[], samples=readings)).samples
    assert kept["value"].to_list() == [-9, -4, 1, 6, 11, 16]


@pytest.mark.parametrize(
    ("targets", "subject"),
    [([], "target"), (["emulated-api"], "target"), (["another"], "shared_host")],
)
def test_a_probes_host_belongs_to_the_targets_that_run_on_it(
    workspace: Workspace, targets: list[str], subject: str
) -> None:
    made = manifest()
    probe = {"name": "lab", "subject": "target", "targets": targets}
    made = msgspec.structs.replace(
        made, scenario={**made.scenario, "telemetry": {"probes": [probe]}}
    )
    reading = Sample(S, "nvml", "target", "lab:gpu0", "gpu_power_w", 90.0)
    kept = read_frames(sealed_run(workspace, made, records=[], samples=[reading])).samples
    assert kept["subject"].to_list() == [subject]


def test_what_a_sensor_says_once_belongs_to_the_run_whenever_it_was_said(
    workspace: Workspace,
) -> None:
    early = Sample(-60 * S, "nvml", "shared_host", "gpu0", "gpu_power_update_period_s", 0.1)
    grid = Sample(-60 * S, "codecarbon", "shared_host", "grid/FRA/2024", "kgco2e_per_kwh", 0.05)
    reading = Sample(-60 * S, "nvml", "shared_host", "gpu0", "gpu_power_w", 90.0)
    folder = sealed_run(workspace, manifest(), records=[], samples=[early, grid, reading])
    kept = read_frames(folder).samples
    assert kept["metric"].to_list() == ["gpu_power_update_period_s", "kgco2e_per_kwh"]
    assert kept["stage"].to_list() == [None, None]


def test_a_run_without_journals_or_samples_seals_to_empty_tables(workspace: Workspace) -> None:
    folder = create_run(workspace, manifest(stages=[]))
    made = seal(folder, manifest(stages=[]), workspace.results / "never-written")
    assert made.seal_report is not None and made.seal_report.records == 0
    frames = read_frames(folder)
    assert frames.requests.is_empty() and frames.samples.is_empty()
    assert frames.attempts.schema == polars_schema(SEALED_TABLES["attempts.parquet"])


@pytest.mark.parametrize("where", ["requests", "attempts", "samples", "ticks", "manifest"])
def test_a_death_at_any_point_is_finished_by_a_second_seal(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    folder = _open_run(workspace, manifest())

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if where == "manifest":
            patch.setattr(sealing, "write_manifest", die)
        else:
            finish = TableFile.finish

            def finish_or_die(self: TableFile) -> None:
                if self._path.stem == where:
                    die()
                finish(self)

            patch.setattr(TableFile, "finish", finish_or_die)
        with pytest.raises(KeyboardInterrupt):
            seal(folder, manifest(), None)
    assert not read_manifest(folder).sealed
    assert list((folder / "journal").rglob("*.requests"))
    made = seal(folder, manifest(), None)
    assert read_frames(folder).requests.height == 2
    assert not (folder / "journal").exists() and read_manifest(folder) == made


def test_a_death_before_the_journals_are_gone_is_finished_too(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _open_run(workspace, manifest())
    with monkeypatch.context() as patch:
        patch.setattr(sealing, "_remove_journals", lambda folder: None)
        first = seal(folder, manifest(), None)
    assert (folder / "journal").is_dir()
    write_journal(folder, [record(9)], "requests")
    assert seal(folder, manifest(status="crashed"), None) == first
    assert not (folder / "journal").exists()
    assert read_frames(folder).requests.height == 2


def test_a_changed_file_is_named(workspace: Workspace) -> None:
    folder = sealed_run(workspace)
    path = folder / "attempts.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(EnvironmentFailed, match=r"attempts.parquet: has changed since") as caught:
        verify(folder, read_manifest(folder))
    assert caught.value.exit_code == ExitCode.TARGET_OR_ENVIRONMENT_FAILED
    path.unlink()
    with pytest.raises(EnvironmentFailed, match=r"attempts.parquet: No such file"):
        verify(folder, read_manifest(folder))


def test_a_full_disk_keeps_the_journals_and_says_so(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _open_run(workspace, manifest())

    def full(self: TableFile) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(TableFile, "finish", full)
        with pytest.raises(EnvironmentFailed, match="No space left on device — free some space"):
            seal(folder, manifest(), None)
    assert not (folder / sealing.SPILL_FOLDER).exists()
    assert seal(folder, manifest(), None).seal_report is not None


def test_an_entry_of_another_version_is_named_and_kept(workspace: Workspace) -> None:
    folder = _open_run(workspace, manifest())
    foreign = Sample(1, "host", "client", "", "cpu", 1.0)
    path = write_journal(folder, [foreign], "requests", worker=3)  # type: ignore[list-item]
    with pytest.raises(EnvironmentFailed, match="an entry cannot be understood") as caught:
        seal(folder, manifest(), None)
    assert str(path) in str(caught.value)
    assert path.exists() and not read_manifest(folder).sealed


def test_a_damaged_samples_journal_gives_its_whole_samples(workspace: Workspace) -> None:
    folder = _open_run(workspace, manifest())
    readings = [Sample(i * S, "host", "client", "", "cpu", 1.0) for i in range(4)]
    path = write_samples(workspace.campaigns / "campaign-1" / "samples.journal", readings)
    path.write_bytes(path.read_bytes()[:-3])
    seal(folder, manifest(), path)
    assert read_frames(folder).samples["at_ns"].to_list() == [0, S, 2 * S]
