"""What code reads of a target's settings and of a stored scenario is typed; what is not stored has a default."""

import msgspec

from observatory.core.run import ReportedSettings, TargetFacts
from observatory.core.stored_scenario import StoredBudget, stored_scenario


def facts(**settings: object) -> TargetFacts:
    return TargetFacts("mine", "vllm", "self", "open", "hours", settings=settings)


def test_settings_that_were_not_stored_are_empty() -> None:
    bare = facts()
    assert (bare.gpus, bare.adapters, bare.proxy, bare.layers_on_gpu) == ([], [], None, 0)
    assert bare.gpu_devices == frozenset()
    assert bare.reported == ReportedSettings()


def test_settings_are_read_by_their_type() -> None:
    told = facts(
        gpus=[1, "GPU-7f"],
        gpu_devices=["gpu3"],
        adapters=[{"name": "tone", "rank": 8}, {"name": "law"}],
        proxy="cache:3128",
        n_gpu_layers=-1,
        resolved={"init_s": 41.7, "kv_cache_tokens": 46592, "seed": 0},
    )
    assert told.gpus == ["1", "GPU-7f"]
    assert told.gpu_devices == {"gpu1", "gpu3"}
    assert told.adapters == ["tone", "law"]
    assert told.proxy == "cache:3128"
    assert told.layers_on_gpu == -1
    assert told.reported == ReportedSettings(init_s=41.7, kv_cache_tokens=46592)
    assert facts(proxy="none").proxy is None


def test_a_stored_scenario_has_what_pages_show_of_it() -> None:
    stored = stored_scenario(
        {
            "workload": {"kind": "tasks", "tasks": ["support-tickets"], "cache": "cold"},
            "arrivals": {"kind": "poisson", "think_time": "0s"},
            "stages": [{"timing": {"warmup": "2s", "steady": "8s"}}, {"timing": None}],
            "telemetry": {"dcgm": None, "prometheus": [{"url": "http://p/metrics"}]},
        }
    )
    assert (stored.workload.kind, stored.workload.tasks) == ("tasks", ["support-tickets"])
    assert stored.arrivals.kind == "poisson"
    assert [stage.steady for stage in stored.stages] == ["8s", None]
    assert [page.url for page in stored.telemetry.prometheus] == ["http://p/metrics"]


def test_caps_that_are_not_set_are_not_written() -> None:
    caps = StoredBudget(usd=1.5, output_tokens=100)
    assert msgspec.json.encode(caps) == b'{"usd":1.5,"output_tokens":100}'
    assert msgspec.to_builtins(StoredBudget()) == {}
