"""The engines' own names for what they report, and ours: one table.

A row holds for each engine what its page must have; docs/telemetry.md shows it, and a test holds the
two together. Names of vLLM are those of 0.32 (vllm/v1/metrics/loggers.py) and, behind `or`, older
ones; of llama.cpp those of xllamacpp 2026.10; of SGLang and TGI those of their documentation.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from observatory.telemetry.scraping.exposition import ExposedSeries

Kind = Literal["gauge", "fraction", "counter"]
Names = tuple[str, ...]
"""Alternatives, newest first; each one name, or several to be added up: "a + b"."""
Engine = Literal["vllm", "llamacpp", "sglang", "tgi"]
ENGINES: tuple[Engine, ...] = ("vllm", "llamacpp", "sglang", "tgi")

MODEL_LABELS = ("model_name", "model", "served_model_name", "model_id")
"""Labels that name the model of a series; the first that it has is used (llama.cpp's router: `model`)."""
PARTED_LABELS = ("lora", "adapter")
"""Parts of labels' names where an empty value is a part as others are: requests of the base model. Elsewhere a
series with an empty label (SGLang: `priority=""`) is the total of those with a value."""
REPLICA_LABELS = frozenset({"dp_rank"})
"""Ranks that have requests of their own, and are added up as vLLM's cores (`engine`) are. All other labels
that end in _rank (SGLang: tp_rank, pp_rank, moe_ep_rank) are of processes that share one model's layers:
each counts the same requests, and the lowest rank of a replica is read."""


PROCESS_LABEL = "pid"
"""Label of a gauge that several API servers of one engine export. Each server has the last value that the engine
sent to it, or 0 if it was sent none. The largest is read."""


@dataclass(frozen=True, slots=True)
class Term:
    """kind: gauges and counters of several engine cores are added up, fractions averaged."""

    metric: str
    kind: Kind
    meaning: str
    vllm: Names = ()
    llamacpp: Names = ()
    sglang: Names = ()
    tgi: Names = ()

    def parts(self, engine: Engine) -> list[list[str]]:
        """Return the alternatives of one engine, each as the names that are added up."""
        names: Names = getattr(self, engine)
        return [alternative.split(" + ") for alternative in names]


_LLAMA_PROMPT = "llamacpp:prompt_tokens_total + llamacpp:prompt_tokens_cached_total"


def _histogram(metric: str, meaning: str, **names: Names) -> tuple[Term, Term]:
    """Return the sum and the count of a histogram of seconds."""

    def term(part: str, meaning: str) -> Term:
        series = {engine: tuple(f"{name}_{part}" for name in own) for engine, own in names.items()}
        return Term(f"{metric}_{part}", "counter", meaning, **series)

    return term("sum", f"{meaning}, seconds of all together"), term("count", "how many they are of")


VOCABULARY: tuple[Term, ...] = (
    Term(
        "engine_requests_running",
        "gauge",
        "requests that it works on",
        vllm=("vllm:num_requests_running",),
        llamacpp=("llamacpp:requests_processing",),
        sglang=("sglang:num_running_reqs",),
        tgi=("tgi_batch_current_size",),
    ),
    Term(
        "engine_requests_waiting",
        "gauge",
        "requests that wait in it",
        vllm=("vllm:num_requests_waiting",),
        llamacpp=("llamacpp:requests_deferred",),
        sglang=("sglang:num_queue_reqs",),
        tgi=("tgi_queue_size",),
    ),
    Term(
        "engine_batch_size",
        "gauge",
        "requests computed at once; llama.cpp: the mean since its start",
        vllm=("vllm:num_requests_running",),
        llamacpp=("llamacpp:n_busy_slots_per_decode",),
        sglang=("sglang:num_running_reqs",),
        tgi=("tgi_batch_current_size",),
    ),
    Term(
        "engine_kv_cache_fraction",
        "fraction",
        "share of the KV cache in use",
        vllm=("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),
        llamacpp=("llamacpp:kv_cache_usage_ratio",),
        sglang=("sglang:token_usage",),
    ),
    Term(
        "engine_prefix_cache_queries_total",
        "counter",
        "prompt tokens looked up in the prefix cache",
        vllm=("vllm:prefix_cache_queries_total", "vllm:gpu_prefix_cache_queries_total"),
        llamacpp=(_LLAMA_PROMPT,),
        sglang=("sglang:prompt_tokens_total",),
    ),
    Term(
        "engine_prefix_cache_hits_total",
        "counter",
        "prompt tokens found there",
        vllm=("vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total"),
        llamacpp=("llamacpp:prompt_tokens_cached_total",),
        sglang=("sglang:cached_tokens_total",),
    ),
    Term(
        "engine_preemptions_total",
        "counter",
        "running requests that were put back for want of KV cache",
        vllm=("vllm:num_preemptions_total",),
        sglang=("sglang:num_retracted_requests_total",),
    ),
    Term(
        "engine_prompt_tokens_total",
        "counter",
        "prompt tokens taken in, cached ones included",
        vllm=("vllm:prompt_tokens_total",),
        llamacpp=(_LLAMA_PROMPT,),
        sglang=("sglang:prompt_tokens_total",),
        tgi=("tgi_request_input_length_sum",),
    ),
    Term(
        "engine_output_tokens_total",
        "counter",
        "tokens generated",
        vllm=("vllm:generation_tokens_total",),
        llamacpp=("llamacpp:tokens_predicted_total",),
        sglang=("sglang:generation_tokens_total",),
        tgi=("tgi_request_generated_tokens_sum",),
    ),
    Term(
        "engine_requests_total",
        "counter",
        "requests that ended, aborted ones included where the engine counts them",
        vllm=("vllm:request_success_total",),
        sglang=("sglang:num_requests_total",),
        tgi=("tgi_request_success", "tgi_request_success_total"),
    ),
    *_histogram(
        "engine_queue_seconds",
        "time in its queue",
        vllm=("vllm:request_queue_time_seconds",),
        sglang=("sglang:queue_time_seconds",),
        tgi=("tgi_request_queue_duration",),
    ),
    *_histogram(
        "engine_prefill_seconds",
        "time from the queue to the first token",
        vllm=("vllm:request_prefill_time_seconds",),
    ),
    *_histogram(
        "engine_decode_seconds",
        "time from the first token to the last",
        vllm=("vllm:request_decode_time_seconds",),
    ),
    *_histogram(
        "engine_ttft_seconds",
        "time to first token as it sees it",
        vllm=("vllm:time_to_first_token_seconds",),
        sglang=("sglang:time_to_first_token_seconds",),
    ),
    *_histogram(
        "engine_itl_seconds",
        "time between two tokens",
        vllm=("vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds"),
        sglang=("sglang:inter_token_latency_seconds",),
    ),
)

_ALTERNATIVES = [
    (term, [parts for engine in ENGINES for parts in term.parts(engine)]) for term in VOCABULARY
]
NAMES = frozenset(
    name for _, alternatives in _ALTERNATIVES for parts in alternatives for name in parts
)
"""Every name of theirs that is looked for."""
COUNTERS = frozenset(
    name
    for term, alternatives in _ALTERNATIVES
    if term.kind == "counter"
    for parts in alternatives
    for name in parts
)
"""Those that only grow while their process lives."""
FRACTIONS = frozenset(
    name
    for term, alternatives in _ALTERNATIVES
    if term.kind == "fraction"
    for parts in alternatives
    for name in parts
)

TERMS = {
    name: [
        term.metric
        for term, alternatives in _ALTERNATIVES
        for parts in alternatives
        if name in parts
    ]
    for name in NAMES
}
"""One of their names -> our metrics that it enters."""


Key = tuple[str, frozenset[tuple[str, str]]]
"""A series: its name and all of its labels."""
Read = dict[str, dict[Key, float]]
"""Name -> its series of the target, each once; a value may be NaN or infinite."""


def key_of(series: ExposedSeries) -> Key:
    """Return the name and labels, which identify a series on its page."""
    return series.name, frozenset(series.labels.items())


def of_target(series: Iterable[ExposedSeries], model: str) -> Read:
    """Return a page's series for a target that serves `model`, ranks that share one model's layers once.

    A page of several models is read for that one alone: ValueError where none of them is it. With
    one model on the page the name does not matter, because an alias or an adapter has another.
    """
    found = list(series)
    models = {of for one in found if (of := model_of(one)) is not None}
    if len(models) > 1 and model not in models:
        raise ValueError(f"the page is of {len(models)} models and {model} is none of them")
    if len(models) > 1:
        found = [one for one in found if model_of(one) in (None, model)]
    first: dict[Key, tuple[_Ranks, ExposedSeries]] = {}
    most: dict[Key, ExposedSeries] = {}
    for one in _without_parts(found):
        if PROCESS_LABEL in one.labels:
            others = frozenset(one.labels.items() - {(PROCESS_LABEL, one.labels[PROCESS_LABEL])})
            known = most.get((one.name, others))
            if known is None or one.value > known.value:
                most[one.name, others] = ExposedSeries(one.name, dict(others), one.value)
            continue
        _keep_first(first, one)
    for one in most.values():
        _keep_first(first, one)
    read: Read = {}
    for _, one in first.values():
        read.setdefault(one.name, {})[key_of(one)] = one.value
    return read


def model_of(series: ExposedSeries) -> str | None:
    """Return the model that a series names; None where it names none."""
    return next((series.labels[each] for each in MODEL_LABELS if series.labels.get(each)), None)


def _without_parts(found: list[ExposedSeries]) -> list[ExposedSeries]:
    """Return the series without those of which the page has the total, which has the same labels but for an empty one."""
    totals = {
        (label, one.name, frozenset(one.labels.items() - {(label, "")}))
        for one in found
        for label, value in one.labels.items()
        if not value and not any(part in label for part in PARTED_LABELS)
    }
    if not totals:
        return found
    return [
        one
        for one in found
        if not any(
            value and (label, one.name, frozenset(one.labels.items() - {(label, value)})) in totals
            for label, value in one.labels.items()
        )
    ]


def _keep_first(first: "dict[Key, tuple[_Ranks, ExposedSeries]]", one: ExposedSeries) -> None:
    """Keep, of ranks that share a model's layers, the lowest."""
    ranks = {
        label: value
        for label, value in one.labels.items()
        if label.endswith("_rank") and label not in REPLICA_LABELS
    }
    group = (one.name, frozenset(one.labels.items() - ranks.items()))
    place = _place(ranks)
    if group not in first or place <= first[group][0]:
        first[group] = place, one


def translate(read: Read) -> dict[str, float | None]:
    """Return our metrics out of what a page has; None where a part of one is no number."""
    values = {name: list(series.values()) for name, series in read.items()}
    found: dict[str, float | None] = {}
    for term, alternatives in _ALTERNATIVES:
        parts = next(
            (parts for parts in alternatives if all(part in values for part in parts)), None
        )
        if parts is None:
            continue
        every = [value for part in parts for value in values[part]]
        if not all(map(math.isfinite, every)):
            found[term.metric] = None
        else:
            found[term.metric] = sum(every) / (len(every) if term.kind == "fraction" else 1)
    return found


_Ranks = tuple[tuple[str, float, str], ...]


def _place(ranks: dict[str, str]) -> _Ranks:
    """Return the order of ranks: by pipeline first, as numbers where they are numbers."""
    return tuple(
        (label, float(value) if value.isdecimal() else math.inf, value)
        for label, value in sorted(ranks.items())
    )
