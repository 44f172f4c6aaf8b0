"""The kill harness's report: what another process printed is read back, and several add up."""

from tools.kill_report import Kill, Report, together


def report(name: str, latest_s: float | None, *faults: str) -> Report:
    kill = Kill("runner", True, 2, 1, 2, f"run-{name}", -9, f"printed by {name}")
    return Report([kill], list(faults), spared=2, requests=10, rows=7, lost=3, latest_s=latest_s)


def test_a_report_is_read_as_it_was_written() -> None:
    one = report("a", 0.25, "left behind: 7 locust")
    assert Report.read(one.text()) == one


def test_reports_of_several_series_add_up() -> None:
    parts = [report("a", -0.5), report("b", None, "a fault"), report("c", 0.1)]
    whole = together(parts)
    assert [kill.run for kill in whole.kills] == ["run-a", "run-b", "run-c"]
    assert (whole.requests, whole.rows, whole.lost) == (30, 21, 9)
    assert whole.latest_s == 0.1
    assert whole.faults == ["a fault"]
    lines = whole.lines()
    assert (
        lines[0]
        == "3 kills (runner 3), 3 within 0.5 s of a child's start; 6 more runs ended before their kill"
    )
    assert lines[2].endswith("at the latest 0.100 s after the death of its runner")
    assert lines[-1] == "FAULT: a fault"


def test_without_a_late_request_there_is_no_latest() -> None:
    whole = together([report("a", None)])
    assert whole.latest_s is None
    assert whole.lines()[2].endswith("before its runner was killed, or none did")
