"""Host names are hidden, and nothing else is."""

import json
from typing import Any

import polars as pl

from observatory.site.hosts import MASK, HostMask, host_names


def row(endpoint: str | None, kind: str = "url", host: str | None = None) -> dict[str, Any]:
    return {"endpoint": endpoint, "target_kind": kind, "environment": json.dumps({"host": host})}


def test_hosts_of_environment_and_url_targets_are_hidden_others_are_not() -> None:
    names = host_names(
        [
            row("http://gpu-7.corp.example:8000/v1", host="build-box"),
            row("http://127.0.0.1:4000/v1", "llamacpp"),
            row("http://[::1]:4000/v1"),
            row("https://api.provider.example/v1", "api"),
            row(None),
        ]
    )
    assert names == {"gpu-7.corp.example", "build-box"}


def test_a_proxy_is_a_host_too() -> None:
    shown = {"settings": {"proxy": "cache.corp.example:3128"}}
    straight = {"settings": {"proxy": "none"}}
    rows = [
        {**row("https://api.provider.example/v1", "api"), "target_facts": json.dumps(facts)}
        for facts in (shown, straight, {"settings": {"proxy": "[fd00::1]:3128"}})
    ]
    assert host_names(rows) == {"cache.corp.example", "fd00::1"}


def test_names_are_masked_as_whole_words_in_free_text_only() -> None:
    frame = pl.DataFrame(
        {"error_text": ["no route to BUILD-box:80", "build-boxes"], "run_id": ["build-box", "x"]}
    )
    shown = HostMask({"build-box"}).frame(frame)
    assert shown["error_text"].to_list() == [f"no route to {MASK}:80", "build-boxes"]
    assert shown["run_id"].to_list() == ["build-box", "x"]
    rows = [HostMask({"build-box"}).row(row) for row in frame.to_dicts()]
    assert rows == shown.to_dicts()


def test_characters_that_mean_something_in_patterns_are_taken_as_they_are() -> None:
    frame = pl.DataFrame({"message": ["a.b and axb"]})
    assert HostMask({"a.b"}).frame(frame)["message"].to_list() == [f"{MASK} and axb"]
