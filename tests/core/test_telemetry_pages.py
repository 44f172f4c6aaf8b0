"""The pages to scrape in a scenario."""

from typing import Any

import pytest
from pydantic import ValidationError

from observatory.core.sensor_config import PrometheusScrape, Telemetry
from observatory.core.targets.identity import BESIDE_API
from observatory.core.targets.url import UrlTarget
from observatory.core.targets.vllm import VllmTarget

PAGE = {"name": "node", "url": "https://h:9100/metrics?x=1", "series": ["a", 'b{c="d"}']}


def test_a_page_with_all_it_can_have() -> None:
    page = PrometheusScrape.model_validate(
        PAGE | {"every": "5s", "headers": {"Authorization": "Bearer ${TOKEN}"}}
    )
    assert (page.every, page.series) == (5.0, ["a", 'b{c="d"}'])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"series": []}, "at least 1 item"),
        ({"series": ["rate(a[1m])"]}, "is no series"),
        ({"series": ['a{b=~"x"}']}, "is no series"),
        ({"url": "http://me:pw@h/metrics"}, "credentials are not allowed in a URL"),
        ({"url": "http:///metrics"}, "names no host"),
        ({"url": "http://h/a b"}, "must be escaped"),
        ({"url": "file:///etc/passwd"}, "pattern"),
        *(
            ({"headers": {name: "abc"}}, "a secret is not allowed in a file")
            for name in (
                "Authorization",
                "Proxy-Authorization",
                "Private-Token",
                "apikey",
                "Ocp-Apim-Subscription-Key",
                "X-Auth",
            )
        ),
        ({"name": "No Name"}, "pattern"),
    ],
)
def test_what_a_page_cannot_be(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        PrometheusScrape.model_validate(PAGE | change)


def test_two_pages_have_two_names() -> None:
    with pytest.raises(ValidationError, match="the same name"):
        Telemetry.model_validate({"prometheus": [PAGE, PAGE]})


def test_the_dcgm_exporter_is_a_plain_url() -> None:
    assert Telemetry.model_validate({"dcgm": "http://gpu:9400/metrics"}).dcgm
    with pytest.raises(ValidationError, match="credentials"):
        Telemetry.model_validate({"dcgm": "http://me:pw@gpu:9400/metrics"})


@pytest.mark.parametrize("url", [None, BESIDE_API, "http://h:9000/m?x=1"])
def test_a_target_says_where_its_engine_tells_of_itself(url: str | None) -> None:
    target = UrlTarget(kind="url", name="t", url="http://h/v1", metrics_url=url)
    assert target.metrics_url == url
    vllm = VllmTarget(kind="vllm", name="v", url="http://h/v1", metrics_url=url)
    assert vllm.metrics_url == url
    assert UrlTarget(kind="url", name="t", url="http://h/v1").metrics_url == BESIDE_API


@pytest.mark.parametrize("url", ["/metrics", "beside", "http://me:pw@h/metrics"])
def test_and_only_so(url: str) -> None:
    with pytest.raises(ValidationError, match=r"write beside_api|credentials"):
        UrlTarget(kind="url", name="t", url="http://h/v1", metrics_url=url)
