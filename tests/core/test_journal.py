"""The journal's frames: whole records are read back, with any cut."""

from hypothesis import given
from hypothesis import strategies as st

from observatory.core.journal import decode_entries, encode_entry, intact_length
from observatory.core.record import Attempt, RequestRecord, Tokens, WorkerEnd, WorkerStart

_REQUEST = RequestRecord(
    index=3,
    stage=0,
    prompt_id="ticket-07",
    prompt_sha256="ab" * 32,
    scheduled=10,
    released=11,
    outcome="ok",
    attempts=[
        Attempt(
            number=0,
            sent=12,
            first_token=100,
            ended=300,
            event_ns=[100, 200],
            event_tokens=[1, 1],
            event_characters=[3, 4],
            tokens=Tokens(prompt=40, output=2, streamed=2, output_from="usage"),
        )
    ],
)
_ENTRIES = [
    WorkerStart(worker=0, pid=1, stage=0, at=1),
    _REQUEST,
    WorkerEnd(at=400, issued=1, recorded=1, not_issued=0, cpu_ns=5, reason="complete"),
]
_BYTES = b"".join(encode_entry(entry) for entry in _ENTRIES)


def test_entries_come_back_as_they_went_in() -> None:
    assert list(decode_entries(_BYTES)) == _ENTRIES
    assert intact_length(_BYTES) == len(_BYTES)


@given(st.integers(min_value=0, max_value=len(_BYTES)))
def test_a_cut_journal_gives_its_leading_whole_entries(cut: int) -> None:
    ends = []
    total = 0
    for entry in _ENTRIES:
        total += len(encode_entry(entry))
        ends.append(total)
    whole = sum(end <= cut for end in ends)
    assert list(decode_entries(_BYTES[:cut])) == _ENTRIES[:whole]
    assert intact_length(_BYTES[:cut]) == (ends[whole - 1] if whole else 0)


@given(st.integers(min_value=0, max_value=len(_BYTES) - 1), st.integers(1, 255))
def test_a_flipped_byte_never_gives_a_wrong_entry(place: int, change: int) -> None:
    damaged = bytearray(_BYTES)
    damaged[place] ^= change
    read = list(decode_entries(bytes(damaged)))
    assert read == _ENTRIES[: len(read)]
    assert len(read) < len(_ENTRIES)
