"""Pages that a person names: what is listed is kept, what is missing is reported once, secrets stay out."""

from typing import Any

import pytest

from observatory.core.sample import Sample
from observatory.telemetry.instructions import ScrapedPage
from observatory.telemetry.sensors.prometheus import MOST_SERIES, PrometheusSensor
from tests.telemetry.served_page import serving

S = 1_000_000_000
PAGE = """# TYPE node_load1 gauge
node_load1 0.5
node_cpu_seconds_total{cpu="0",mode="idle"} 10
node_cpu_seconds_total{cpu="0",mode="user"} 3
node_cpu_seconds_total{cpu="1",mode="user"} 4
node_memory_bytes NaN
other 9
"""


def page_of(url: str, *series: str, **fields: Any) -> ScrapedPage:
    return ScrapedPage(
        **{"name": "node", "url": url, "series": list(series), "every_s": 1.0} | fields
    )


def rows(samples: list[Sample]) -> list[tuple[str, str, float | None, str | None]]:
    return [(s.device, s.metric, s.value, s.reason) for s in samples]


def test_only_what_is_listed_is_kept_and_label_sets_are_devices() -> None:
    with serving(lambda: (200, "text/plain", PAGE)) as served:
        page = page_of(served.url, "node_load1", 'node_cpu_seconds_total{mode="user"}')
        samples = PrometheusSensor(page).read(7)
    assert rows(samples) == [
        ("node", "up", 1.0, None),
        ("node", "node_load1", 0.5, None),
        ('node{cpu="0",mode="user"}', "node_cpu_seconds_total", 3.0, None),
        ('node{cpu="1",mode="user"}', "node_cpu_seconds_total", 4.0, None),
    ]
    assert {(s.at, s.sensor, s.subject) for s in samples} == {(7, "prometheus", "shared_host")}


def test_what_is_missing_is_said_once_and_again_after_it_was_there() -> None:
    pages = [PAGE, PAGE, PAGE + 'gone{x="1"} 2\n', PAGE, PAGE]
    with serving(lambda: (200, "text/plain", pages.pop(0))) as served:
        sensor = PrometheusSensor(page_of(served.url, "node_load1", 'gone{x="1"}'))
        found = [[row for row in rows(sensor.read(at * S)) if row[1] == "gone"] for at in range(5)]
    null = ("node", "gone", None, 'gone{x="1"} is not on the page')
    assert found == [[null], [], [('node{x="1"}', "gone", 2.0, None)], [null], []]


def test_not_a_number_is_null_with_what_the_page_says() -> None:
    with serving(lambda: (200, "text/plain", PAGE)) as served:
        [_, sample] = PrometheusSensor(page_of(served.url, "node_memory_bytes")).read(1)
    assert (sample.value, sample.reason) == (None, "the page has nan")


def test_a_page_is_asked_no_more_often_than_it_wants() -> None:
    with serving(lambda: (200, "text/plain", PAGE)) as served:
        sensor = PrometheusSensor(page_of(served.url, "node_load1", every_s=3.0))
        jitter = [0, 3, -4, 2, -1, 5, -3]  # ms around each second, as a sampler's readings have
        requested = [
            bool(sensor.read(second * S + late * 1_000_000)) for second, late in enumerate(jitter)
        ]
    assert requested == [True, False, False, True, False, False, True]


def test_after_a_pause_a_slot_is_not_made_up_for() -> None:
    with serving(lambda: (200, "text/plain", PAGE)) as served:
        sensor = PrometheusSensor(page_of(served.url, "node_load1"))
        assert [bool(sensor.read(at * S)) for at in (0, 1, 9, 10)] == [True] * 4
        assert len(served.asked) == 4


def test_too_many_series_are_refused_whole() -> None:
    page = "".join(f'many{{n="{n}"}} 1\n' for n in range(MOST_SERIES + 1))
    with serving(lambda: (200, "text/plain", page)) as served:
        [gone] = PrometheusSensor(page_of(served.url, "many")).read(1)
    assert (gone.device, gone.value) == ("node", 0.0)
    assert gone.reason == "201 series fit, more than 200: choose by label"


def test_a_secret_is_sent_and_stands_in_no_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGE_TOKEN", "s3cret")
    answers = [(200, "text/plain", PAGE), (403, "text/plain", "no"), (200, "text/plain", "a b\n")]
    with serving(lambda: answers.pop(0)) as served:
        headers = {"Authorization": "Bearer ${PAGE_TOKEN}"}
        sensor = PrometheusSensor(page_of(served.url, "node_load1", "a", headers=headers))
        samples = [sample for at in range(3) for sample in sensor.read(at * S)]
        assert [h["Authorization"] for h in served.headers] == ["Bearer s3cret"] * 3
    assert [s.value for s in samples if s.metric == "up"] == [1.0, 0.0, 0.0]
    assert "s3cret" not in repr(samples)


@pytest.mark.parametrize(
    ("secret", "message"),
    [(None, "PAGE_TOKEN is not set"), ("s3cr\u20act\n", "a header cannot hold its value")],
)
def test_a_secret_that_cannot_be_sent_is_said_without_it(
    secret: str | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PAGE_TOKEN", raising=False)
    if secret is not None:
        monkeypatch.setenv("PAGE_TOKEN", secret)
    page = page_of("http://127.0.0.1:9/", "a", headers={"X-Token": "${PAGE_TOKEN}"})
    [gone] = PrometheusSensor(page).read(1)
    assert gone.value == 0.0
    assert message in (gone.reason or "")
    assert "s3cr" not in (gone.reason or "")
