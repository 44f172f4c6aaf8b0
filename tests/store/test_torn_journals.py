"""With any bytes that a kill leaves at the end of a journal, its leading whole records are sealed."""

from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from observatory.core.journal import encode_entry
from observatory.store.folder.manifest import write_manifest
from observatory.store.folder.sealing import seal
from observatory.store.frames import read_frames
from tests.store.made_runs import heartbeat, manifest, record, write_journal

RECORDS = [record(i) for i in range(4)]
FRAMES = [encode_entry(entry) for entry in RECORDS]
WHOLE = b"".join(FRAMES)
ENDS = [sum(len(frame) for frame in FRAMES[:count]) for count in range(len(FRAMES) + 1)]


def _sealed(folder: Path, journal: bytes) -> tuple[list[int], int]:
    write_manifest(folder, manifest())
    path = write_journal(folder, [], "requests")
    path.write_bytes(journal)
    write_journal(folder, heartbeat(), "ticks")
    report = seal(folder, manifest(), None).seal_report
    assert report is not None
    return read_frames(folder).requests["request"].to_list(), report.torn.get(
        "journal/stage-00/worker-0.requests", 0
    )


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(0, len(WHOLE)))
def test_a_cut_tail_gives_the_leading_whole_records(tmp_path_factory: object, cut: int) -> None:
    folder = tmp_path_factory.mktemp("run")  # type: ignore[attr-defined]
    whole = max(count for count, end in enumerate(ENDS) if end <= cut)
    requests, torn = _sealed(folder, WHOLE[:cut])
    assert requests == list(range(whole))
    assert torn == cut - ENDS[whole]


@settings(max_examples=40, deadline=None)
@given(kept=st.integers(0, 4), tail=st.binary(max_size=200))
@example(kept=4, tail=bytes(4096))
def test_rubbish_after_whole_records_costs_none_of_them(
    tmp_path_factory: object, kept: int, tail: bytes
) -> None:
    folder = tmp_path_factory.mktemp("run")  # type: ignore[attr-defined]
    requests, torn = _sealed(folder, WHOLE[: ENDS[kept]] + tail)
    assert requests == list(range(kept))
    assert torn == len(tail)


@settings(max_examples=40, deadline=None)
@given(place=st.integers(0, len(WHOLE) - 1), flip=st.integers(1, 255))
def test_a_flipped_byte_costs_its_record_and_what_follows(
    tmp_path_factory: object, place: int, flip: int
) -> None:
    folder = tmp_path_factory.mktemp("run")  # type: ignore[attr-defined]
    data = bytearray(WHOLE)
    data[place] ^= flip
    requests, torn = _sealed(folder, bytes(data))
    damaged = max(count for count, end in enumerate(ENDS) if end <= place)
    assert requests == list(range(damaged))
    assert torn == len(WHOLE) - ENDS[damaged]
