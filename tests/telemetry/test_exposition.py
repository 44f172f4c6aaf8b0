"""The text format: known lines, what Prometheus' own client writes and reads, and any label at all."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from observatory.telemetry.scraping.exposition import ExposedSeries, read_page

PAGES = sorted(Path(__file__).with_name("pages").glob("*.prom"))


def one(line: str) -> ExposedSeries:
    [series] = read_page(line + "\n")
    return series


@pytest.mark.parametrize(
    ("line", "series"),
    [
        ("a 1", ExposedSeries("a", {}, 1.0)),
        ("a:b_c{} 1e3", ExposedSeries("a:b_c", {}, 1000.0)),
        ('a{x="1"} 2', ExposedSeries("a", {"x": "1"}, 2.0)),
        ('a { x = "1" , y="2", } 2', ExposedSeries("a", {"x": "1", "y": "2"}, 2.0)),
        ('a{x="} 9 {,"} -0.5', ExposedSeries("a", {"x": "} 9 {,"}, -0.5)),
        (r'a{x="a\"b\\c\nd\q"} .5', ExposedSeries("a", {"x": 'a"b\\c\nd\\q'}, 0.5)),
        ("a\t1\t1700000000123", ExposedSeries("a", {}, 1.0, 1700000000123.0)),
        ("a 1 1700000000.123", ExposedSeries("a", {}, 1.0, 1700000000.123)),
        (
            'a_bucket{le="+Inf"} 3 # {trace_id="}x"} 0.67 1.5',
            ExposedSeries("a_bucket", {"le": "+Inf"}, 3.0),
        ),
        ("a +Inf", ExposedSeries("a", {}, math.inf)),
        ("a -Inf", ExposedSeries("a", {}, -math.inf)),
        ('{"a.b", x="1"} 1', ExposedSeries("a.b", {"x": "1"}, 1.0)),
        ('{"a b"} 1', ExposedSeries("a b", {}, 1.0)),
        ('a{"x.y"="1"} 1', ExposedSeries("a", {"x.y": "1"}, 1.0)),
        ("  a 1  ", ExposedSeries("a", {}, 1.0)),
        ("a 1\r", ExposedSeries("a", {}, 1.0)),
    ],
)
def test_known_lines(line: str, series: ExposedSeries) -> None:
    assert one(line) == series


def test_nan_is_read_as_what_it_is() -> None:
    assert math.isnan(one("a NaN").value)


@pytest.mark.parametrize(
    "line",
    [
        "a",
        "a x",
        "a 1_000",
        "a 0x10",
        "a 1 now",
        "a{x=1} 1",
        'a{x="1" 1',
        'a{x="1} 1',
        'a{x="1" y="2"} 1',
        'a{x="1",x="2"} 1',
        "a{x} 1",
        'a{"b"} 1',
        '{x="1"} 1',
        "{} 1",
        '{x="1", "late"} 1',
        "1a 2",
        "ä 2",
    ],
)
def test_a_line_that_is_none_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="line 2 "):
        list(read_page(f"fine 1\n{line}\n"))


def test_comments_help_types_and_the_end_mark_are_no_series() -> None:
    page = "# HELP a of it\n# TYPE a gauge\n#\n\n  \na 1\n# EOF\n"
    assert [series.value for series in read_page(page)] == [1.0]
    assert list(read_page("")) == []


def test_what_is_not_wanted_is_not_taken_apart() -> None:
    page = 'other{ 1\na_bucket{le="1"} 2\na_sum 3\n{"b.c"} 4\n'
    assert [s.name for s in read_page(page, {"a_sum", "b.c"}.__contains__)] == ["a_sum", "b.c"]


@pytest.mark.parametrize("page", ["a 1\n# EOF", "a 1\n# EOF\n", "a 1\n"])
def test_the_end_mark_of_openmetrics_needs_no_line_end(page: str) -> None:
    assert [series.value for series in read_page(page)] == [1.0]
    assert list(read_page("# EOF")) == []


@pytest.mark.parametrize(
    "page", ["a 1\n# EO", "a 1\n# TYPE b gauge", "a 1 # EOF", "a 1\n b 1# EOF"]
)
def test_another_last_line_without_an_end_is_cut(page: str) -> None:
    with pytest.raises(ValueError, match="cut off"):
        list(read_page(page))


def test_a_page_that_was_cut_is_refused() -> None:
    with pytest.raises(ValueError, match="cut off"):
        list(read_page("a 12\nb 1"))


labels = st.dictionaries(
    st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True).filter(
        lambda name: not name.startswith("__") and name not in ("le", "quantile")
    ),
    st.text(max_size=12),
    max_size=4,
)


@given(labels, st.floats(allow_nan=False))
def test_what_the_reference_client_writes_is_read_back(
    labelled: dict[str, str], value: float
) -> None:
    registry = CollectorRegistry()
    gauge = Gauge("g", "of it", list(labelled), registry=registry)
    (gauge.labels(**labelled) if labelled else gauge).set(value)
    page = generate_latest(registry).decode("utf-8", "surrogatepass")
    assert list(read_page(page)) == [ExposedSeries("g", labelled, value)]


@given(labels, st.lists(st.floats(0, 100), max_size=5))
def test_a_histogram_is_its_sum_its_count_and_its_buckets(
    labelled: dict[str, str], seen: list[float]
) -> None:
    registry = CollectorRegistry()
    histogram = Histogram("h", "of it", list(labelled), registry=registry, buckets=(1, 10))
    child = histogram.labels(**labelled) if labelled else histogram
    for value in seen:
        child.observe(value)
    found = {
        (s.name, s.labels.get("le")): s.value for s in read_page(generate_latest(registry).decode())
    }
    assert found["h_count", None] == found["h_bucket", "+Inf"] == len(seen)
    assert found["h_sum", None] == pytest.approx(sum(seen))
    assert found["h_bucket", "1.0"] == sum(value <= 1 for value in seen)


@given(st.text(alphabet='a{}"\\=, \n\t1.eE+#ä', max_size=60))
def test_any_text_is_read_or_refused_and_never_hangs(text: str) -> None:
    try:
        found = list(read_page(text))
    except ValueError:
        return
    assert all(series.name for series in found)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_real_pages_are_read_as_the_reference_reader_reads_them(path: Path) -> None:
    page = path.read_text()
    theirs = [  # which gives every counter the suffix that OpenMetrics wants
        (sample.name.removesuffix("_total"), sample.labels, sample.value)
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    ]
    ours = [
        (series.name.removesuffix("_total"), series.labels, series.value)
        for series in read_page(page)
    ]
    assert sorted(ours, key=repr) == sorted(theirs, key=repr)
    assert len(ours) > 10
