"""What a page of metrics repeats of what it was sent does not reach the journal."""

from collections.abc import Mapping
from typing import Any

import pytest

from observatory.core.clock import Anchor
from observatory.core.connection import Connection, KeySource
from observatory.core.sample import Sample
from observatory.telemetry.instructions import SamplerConfig, ScrapedPage
from observatory.telemetry.remote.remote_samples import ProbeAddress, RemoteHost
from observatory.telemetry.sample_masking import SampleMasker

CANARY = "canary-0f9a8b7c6d5e4f"
ELSEWHERE = Connection(scheme="http", host="h", port=1, base_path="", model="")
KEYED = Connection(
    scheme="http", host="h", port=1, base_path="", model="", key=KeySource(env="PAGE_KEY")
)
PAGE = ScrapedPage("p", "http://h/metrics", ["x"], 1.0, {"Authorization": "Bearer ${PAGE_KEY}"})


def config(**given: Any) -> SamplerConfig:
    return SamplerConfig(
        journal="j", watch="w", anchor=Anchor(0, 0), interval_s=1.0,
        parent=1, **given,
    )  # fmt: skip


@pytest.mark.parametrize(
    "given",
    [
        {"engines": {"engine:a": KEYED}},
        {"probes": [ProbeAddress(RemoteHost("far", "target", None), KEYED)]},
        {"prometheus": [PAGE]},
        {"dcgm": f"http://h/metrics?token={CANARY}"},
        {"engine_pages": {"engine:a": f"http://h/metrics?api_key={CANARY}"}},
    ],
    ids=lambda given: next(iter(given)),
)
def test_labels_names_and_reasons_are_masked(
    given: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGE_KEY", CANARY)
    hide = SampleMasker(config(**given))
    stated = Sample(1, "s", "shared_host", f'p{{who="{CANARY}"}}', f"m_{CANARY}", None, CANARY)
    hidden = hide(stated)
    assert (hidden.device, hidden.metric, hidden.reason) == ('p{who="***"}', "m_***", "***")
    plain = Sample(1, "s", "shared_host", "gpu0", "gpu_power_w", 3.0)
    assert hide(plain) is plain


def test_a_secret_that_is_not_there_stops_nothing() -> None:
    hide = SampleMasker(config(engines={"engine:a": KEYED, "engine:b": ELSEWHERE}))
    sample = Sample(1, "s", "target", "d", "m", 1.0)
    assert hide(sample) is sample
