"""The vocabulary: real pages, written ones of engines we cannot run here, several cores and models."""

from pathlib import Path

import pytest

from observatory.telemetry.scraping.exposition import read_page
from observatory.telemetry.sensors.engine_names import (
    ENGINES,
    NAMES,
    VOCABULARY,
    of_target,
    translate,
)

ROOT = Path(__file__).resolve().parents[2]
PAGES = Path(__file__).with_name("pages")


def told(page: str, model: str = "m") -> dict[str, float | None]:
    return translate(of_target(read_page(page, NAMES.__contains__), model))


def test_a_real_page_of_vllm() -> None:
    assert told((PAGES / "vllm-0.32.0.prom").read_text(), "smol") == {
        "engine_requests_running": 6,
        "engine_requests_waiting": 0,
        "engine_batch_size": 6,
        "engine_kv_cache_fraction": 0.019283746556473802,
        "engine_prefix_cache_queries_total": 2930,
        "engine_prefix_cache_hits_total": 1792,
        "engine_preemptions_total": 0,
        "engine_prompt_tokens_total": 2930,
        "engine_output_tokens_total": 290,
        "engine_requests_total": 9,
        "engine_queue_seconds_sum": 0.000426846000095793,
        "engine_queue_seconds_count": 9,
        "engine_prefill_seconds_sum": 2.012945441999932,
        "engine_prefill_seconds_count": 9,
        "engine_decode_seconds_sum": 5.960404234000293,
        "engine_decode_seconds_count": 9,
        "engine_ttft_seconds_sum": 9.747253656387329,
        "engine_ttft_seconds_count": 15,
        "engine_itl_seconds_sum": 7.950663899999768,
        "engine_itl_seconds_count": 275,
    }


def test_a_real_page_of_llamacpp() -> None:
    assert told((PAGES / "llamacpp-2026.10.prom").read_text()) == {
        "engine_requests_running": 4,
        "engine_requests_waiting": 10,
        "engine_batch_size": 1.04,
        "engine_prefix_cache_queries_total": 398 + 187,
        "engine_prefix_cache_hits_total": 187,
        "engine_prompt_tokens_total": 398 + 187,
        "engine_output_tokens_total": 24,
    }


SGLANG = """sglang:num_running_reqs{model_name="m",tp_rank="0"} 162.0
sglang:num_running_reqs{model_name="m",tp_rank="1"} 162.0
sglang:num_queue_reqs{model_name="m"} 9.0
sglang:token_usage{model_name="m"} 0.28
sglang:prompt_tokens_total{model_name="m"} 800.0
sglang:cached_tokens_total{model_name="m"} 200.0
sglang:generation_tokens_total{model_name="m"} 750.0
sglang:num_requests_total{model_name="m"} 12.0
sglang:time_to_first_token_seconds_sum{model_name="m"} 3.0
sglang:time_to_first_token_seconds_count{model_name="m"} 12.0
sglang:queue_time_seconds_sum{model_name="m"} 1.5
sglang:queue_time_seconds_count{model_name="m"} 12.0
"""
TGI = """tgi_batch_current_size 3
tgi_queue_size 0 1700000000000
tgi_request_input_length_sum 700
tgi_request_generated_tokens_sum 90
tgi_request_success{method="single"} 5
tgi_request_success{method="batch"} 2
tgi_request_queue_duration_sum 0.5
tgi_request_queue_duration_count 7
tgi_batch_inference_duration_sum{method="prefill"} 9
"""


def test_a_page_of_sglang_counts_ranks_that_share_a_model_once() -> None:
    found = told(SGLANG)
    assert found["engine_requests_running"] == 162
    assert found["engine_kv_cache_fraction"] == 0.28
    assert found["engine_prefix_cache_hits_total"] == 200
    assert found["engine_prefix_cache_queries_total"] == found["engine_prompt_tokens_total"] == 800
    assert (found["engine_ttft_seconds_sum"], found["engine_queue_seconds_count"]) == (3, 12)


def _sglang(name: str, value: float, **ranks: int | str) -> str:
    labels = {"model_name": "m", "engine_type": "unified", **ranks}
    pairs = ",".join(f'{label}="{told}"' for label, told in labels.items())
    return f"sglang:{name}{{{pairs}}} {value}\n"


@pytest.mark.parametrize(
    ("ranks", "running"),
    [
        # Replicas with requests of their own, each on the tensor rank of its number (--enable-dp-attention).
        ([(5, {"tp_rank": 0, "dp_rank": 0}), (7, {"tp_rank": 1, "dp_rank": 1})], 12),
        # Two replicas of two tensor ranks each: of a replica the lowest is read.
        (
            [
                (7, {"tp_rank": 3, "dp_rank": 1}),
                (5, {"tp_rank": 0, "dp_rank": 0}),
                (5, {"tp_rank": 1, "dp_rank": 0}),
                (7, {"tp_rank": 2, "dp_rank": 1}),
            ],
            12,
        ),
        # Replicas whose tensor ranks all begin at 0.
        ([(5, {"tp_rank": 0, "dp_rank": 0}), (7, {"tp_rank": 0, "dp_rank": 1})], 12),
        ([(5, {"dp_rank": 0}), (7, {"dp_rank": 1}), (1, {"dp_rank": 10})], 13),
        # One replica: ranks of tensors, of the pipeline, of experts.
        ([(6, {"tp_rank": 1, "pp_rank": 0}), (5, {"tp_rank": 0, "pp_rank": 1}), (7, {"tp_rank": 0, "pp_rank": 0})], 7),
        ([(5, {"tp_rank": 0, "moe_ep_rank": 0}), (5, {"tp_rank": 1, "moe_ep_rank": 1})], 5),
        ([(5, {"tp_rank": 10}), (7, {"tp_rank": 9})], 7),  # 9 is before 10
        # Prefill and decode servers behind one page have requests of their own.
        ([(5, {"engine_type": "prefill"}), (7, {"engine_type": "decode"})], 12),
        ([(5, {"pod": "a"}), (7, {"pod": "b"})], 12),
    ],
)  # fmt: skip
def test_replicas_add_up_and_ranks_of_one_replica_speak_once(
    ranks: list[tuple[int, dict[str, int | str]]], running: int
) -> None:
    page = "".join(_sglang("num_running_reqs", value, **own) for value, own in ranks)
    page += "".join(_sglang("token_usage", value / 100, **own) for value, own in ranks)
    found = told(page)
    assert found["engine_requests_running"] == running
    of_one = running if len(ranks) == 1 or running in {value for value, _ in ranks} else None
    used = found["engine_kv_cache_fraction"]
    assert used is not None
    if of_one is not None:
        assert used == pytest.approx(of_one / 100)
    else:
        assert min(v for v, _ in ranks) / 100 <= used <= max(v for v, _ in ranks) / 100


def test_two_replicas_of_a_page_by_known_answers() -> None:
    both = [{"tp_rank": 0, "pp_rank": 0, "dp_rank": 0}, {"tp_rank": 1, "pp_rank": 0, "dp_rank": 1}]
    values = {"num_running_reqs": (4, 9), "num_queue_reqs": (0, 2), "token_usage": (0.2, 0.5)}
    page = "".join(
        _sglang(name, told, **ranks)
        for name, own in values.items()
        for told, ranks in zip(own, both, strict=True)
    )
    found = told(page)
    assert (found["engine_requests_running"], found["engine_requests_waiting"]) == (13, 2)
    assert found["engine_kv_cache_fraction"] == pytest.approx(0.35)


def test_api_servers_of_one_engine_that_it_never_told_have_no_part_in_a_gauge() -> None:
    """vllm pull request 28792: eight API servers, of which one has the KV cache's use."""
    page = "".join(
        f'vllm:kv_cache_usage_perc{{engine="{engine}",model_name="m",pid="{pid}"}} {value}\n'
        for engine, used in enumerate((0.65, 0.25))
        for pid, value in ((271, 0.0), (272, used), (273, 0.0))
    )
    assert told(page)["engine_kv_cache_fraction"] == pytest.approx(0.45)


def test_ranks_of_one_context_count_its_requests_once() -> None:
    """sglang issue 31896: with --cp 8 every rank's scheduler exports the same requests."""
    page = "".join(_sglang("num_running_reqs", 9, tp_rank=rank) for rank in range(8))
    assert told(page)["engine_requests_running"] == 9


def test_a_series_that_is_on_the_page_twice_counts_once() -> None:
    line = 'vllm:num_requests_running{engine="0",model_name="m"} '
    assert told(f"{line}3\n{line}4\n")["engine_requests_running"] == 4


def test_a_page_of_tgi() -> None:
    assert told(TGI) == {
        "engine_requests_running": 3,
        "engine_requests_waiting": 0,
        "engine_batch_size": 3,
        "engine_prompt_tokens_total": 700,
        "engine_output_tokens_total": 90,
        "engine_requests_total": 7,
        "engine_queue_seconds_sum": 0.5,
        "engine_queue_seconds_count": 7,
    }


def test_engine_cores_add_up_and_their_fractions_are_averaged() -> None:
    page = "".join(
        f'vllm:{name}{{engine="{engine}",model_name="m"}} {value}\n'
        for name, values in {
            "num_requests_running": (7, 5),
            "kv_cache_usage_perc": (0.2, 0.6),
            "num_preemptions_total": (1, 2),
        }.items()
        for engine, value in enumerate(values)
    )
    found = told(page)
    assert found["engine_requests_running"] == 12
    assert found["engine_kv_cache_fraction"] == pytest.approx(0.4)
    assert found["engine_preemptions_total"] == 3


def test_older_names_are_known_and_never_counted_beside_the_new_ones() -> None:
    old = "vllm:gpu_cache_usage_perc 0.5\nvllm:gpu_prefix_cache_hits_total 3\n"
    assert told(old) == {"engine_kv_cache_fraction": 0.5, "engine_prefix_cache_hits_total": 3}
    both = told(old + "vllm:kv_cache_usage_perc 0.7\nvllm:prefix_cache_hits_total 4\n")
    assert both == {"engine_kv_cache_fraction": 0.7, "engine_prefix_cache_hits_total": 4}


def test_prompt_tokens_without_the_cached_ones_are_no_prompt_tokens() -> None:
    assert told("llamacpp:prompt_tokens_total 5\n") == {}


TWO = (
    'vllm:num_requests_running{model_name="a"} 1\nvllm:num_requests_running{model_name="b"} 2\n'
    "vllm:num_requests_waiting 4\n"
)


@pytest.mark.parametrize(("model", "running"), [("a", 1), ("b", 2)])
def test_of_several_models_only_the_targets_own_is_read(model: str, running: float) -> None:
    found = told(TWO, model)
    assert found["engine_requests_running"] == running
    assert found["engine_requests_waiting"] == 4  # of all, for it does not name the model


def test_models_are_told_apart_by_any_label_that_names_them() -> None:
    """llama.cpp pull request 24851: a router's page, by the label `model`."""
    page = "".join(
        f'llamacpp:requests_processing{{model="{model}"}} {running}\n'
        f'llamacpp:tokens_predicted_total{{model="{model}"}} {100 * running}\n'
        for model, running in (("m", 2), ("other", 7))
    )
    found = told(page, "m")
    assert (found["engine_requests_running"], found["engine_output_tokens_total"]) == (2, 200)
    assert told(page, "other")["engine_requests_running"] == 7
    with pytest.raises(ValueError, match="2 models and c is none"):
        told(page, "c")


@pytest.mark.parametrize(
    ("labels", "waiting"),
    [
        # sglang pull request 17026: the total has an empty priority.
        ([(5, 'priority=""'), (3, 'priority="1"'), (2, 'priority="2"')], 5),
        ([(3, 'priority="1"'), (2, 'priority="2"')], 5),
        # Of each replica its own total.
        ([(5, 'dp_rank="0",priority=""'), (5, 'dp_rank="0",priority="1"'), (2, 'dp_rank="1",priority=""')], 7),
        ([(5, 'dp_rank="0",priority=""'), (2, 'dp_rank="1",priority="1"')], 7),
        # Requests of the base model are no total of those of its adapters.
        ([(5, 'lora_name=""'), (3, 'lora_name="sql"')], 8),
        ([(5, 'pod=""')], 5),
    ],
)  # fmt: skip
def test_a_total_is_not_added_to_its_parts(labels: list[tuple[int, str]], waiting: int) -> None:
    page = "".join(f'sglang:num_queue_reqs{{model_name="m",{own}}} {n}\n' for n, own in labels)
    assert told(page)["engine_requests_waiting"] == waiting


def test_several_models_and_none_of_them_ours_is_an_error() -> None:
    with pytest.raises(ValueError, match="2 models and c is none"):
        told(TWO, "c")


def test_one_model_under_another_name_is_ours() -> None:
    assert told('vllm:num_requests_running{model_name="base"} 3\n', "my-adapter") == {
        "engine_requests_running": 3,
        "engine_batch_size": 3,
    }


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
def test_what_is_no_number_leaves_no_sum_of_the_rest(value: str) -> None:
    page = f"vllm:kv_cache_usage_perc {value}\ngo_goroutines 12\n" + "".join(
        f'vllm:generation_tokens_total{{engine="{engine}"}} {told}\n'
        for engine, told in enumerate((5, value))
    )
    assert told(page) == {"engine_kv_cache_fraction": None, "engine_output_tokens_total": None}


def test_other_pages_have_nothing() -> None:
    assert told('go_goroutines 12\nlitellm_requests_metric_total{model="m"} 4\n') == {}
    assert told("") == {}


def test_the_table_names_each_metric_once_and_each_engine_somewhere() -> None:
    metrics = [term.metric for term in VOCABULARY]
    assert len(set(metrics)) == len(metrics)
    assert all(any(term.parts(engine) for term in VOCABULARY) for engine in ENGINES)
    assert all(any(term.parts(engine) for engine in ENGINES) for term in VOCABULARY)
