"""The binary log: ordered, cut off anywhere, and its ids."""

from benchmarks.truth_log import LEFT, RECORD, parse
from tests.benchmarks.made_logs import ANCHOR, Answer, log_bytes

ANSWERS = [Answer(1, 0, 20, [30, 40], []), Answer(0, 0, 10, [50, 60], [], read_late=4)]


def test_requests_and_writes_are_ordered_and_lateness_is_kept() -> None:
    log = parse(log_bytes(ANSWERS, late=7))
    assert log.requests.tolist() == [0, 1]
    assert (log.read_ns - ANCHOR).tolist() == [10, 20]
    assert (log.arrived_ns - ANCHOR).tolist() == [6, 20]
    assert log.reading_lateness_ns().tolist() == [4, 0]
    assert (log.writes["at_ns"] - ANCHOR).tolist() == [50, 60, 30, 40]
    assert log.lateness_ns().tolist() == [7, 7, 7, 7]


def test_a_record_that_was_cut_is_left_out() -> None:
    data = log_bytes(ANSWERS)
    whole = len(data) // RECORD.itemsize
    for cut in range(1, RECORD.itemsize):
        log = parse(data[:-cut])
        assert log.requests.size + log.writes.size == whole - 1


def test_clients_that_left_early_are_counted() -> None:
    record = bytearray(log_bytes(ANSWERS)[: RECORD.itemsize])
    record[20] = LEFT
    assert parse(bytes(record)).unfinished == 1
