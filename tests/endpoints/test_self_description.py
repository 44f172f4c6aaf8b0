"""Who answers at a URL: each engine's own pages, as their documentation and sources show them."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from observatory.core.errors import BadInput
from observatory.core.targets.url import UrlTarget
from observatory.core.targets.vllm import VllmTarget
from observatory.endpoints.catalogue import open_target
from observatory.endpoints.check import check_target
from observatory.endpoints.opened import OpenContext
from observatory.endpoints.self_description import cache_of

CACHE = 'vllm:cache_config_info{block_size="16",num_gpu_blocks="100",cache_dtype="auto"} 1.0\n'


class _Pages(http.server.BaseHTTPRequestHandler):
    pages: dict[str, Any]
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        page = self.pages.get(self.path)
        data = page.encode() if isinstance(page, str) else json.dumps(page).encode()
        self.send_response(404 if page is None else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Log nothing: the tests read the recorded requests."""


@pytest.fixture
def serve() -> Iterator[Callable[[dict[str, Any]], tuple[str, list[str]]]]:
    """Run a server with these pages; yield its base URL and the requested paths."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(pages: dict[str, Any]) -> tuple[str, list[str]]:
        calls: list[str] = []
        handler = type("Pages", (_Pages,), {"pages": pages, "asked": calls})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/v1", calls

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


KEY = "k9-abcdefghij-1234"
"""18 characters: too short to be found by a part of it."""


@pytest.mark.parametrize("before", range(482, 501, 3))
def test_a_key_that_a_page_repeats_is_masked_before_the_text_is_cut(
    before: int,
    serve: Callable[[dict[str, Any]], tuple[str, list[str]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUT_KEY", KEY)
    long = "x" * before + KEY + "y" * 40
    labels = CACHE.replace("auto", long)
    url, _ = serve(
        {"/v1/models": models("vllm"), "/version": {"version": long}, "/metrics": labels}
    )
    target = UrlTarget(kind="url", name="t", url=url, api_key_env="CUT_KEY")
    with open_target(target, OpenContext(tmp_path, print)) as opened:
        stated = str(opened.facts)
    assert "xxx" in stated
    assert not any(KEY[at : at + 6] in stated for at in range(len(KEY) - 6))


def models(owner: str) -> dict[str, Any]:
    return {"object": "list", "data": [{"id": "m", "object": "model", "owned_by": owner}]}


@pytest.mark.parametrize(
    ("owner", "pages", "expected", "kept"),
    [
        ("vllm", {"/version": {"version": "0.32.0"}, "/metrics": CACHE},
         ("vLLM", "0.32.0"), {"resolved": {"cache": {"block_size": 16, "blocks": 100,
                                                     "dtype": "auto"}}}),
        ("sglang", {"/get_server_info": {"version": "0.5.3", "dtype": "bfloat16", "secret": 1,
                                         "max_total_num_tokens": 9}},
         ("SGLang", "0.5.3"), {"dtype": "bfloat16", "max_total_num_tokens": 9}),
        ("llamacpp", {"/props": {"build_info": "b6789-abc", "total_slots": 4,
                                 "default_generation_settings": {"n_ctx": 4096}}},
         ("llama.cpp", "b6789-abc"), {"total_slots": 4, "n_ctx": 4096}),
        ("m", {"/info": {"version": "3.3.6", "model_dtype": "float16", "max_total_tokens": 4096,
                         "model_sha": "abc"}},
         ("TGI", "3.3.6"), {"model_dtype": "float16", "max_total_tokens": 4096, "model_sha": "abc"}),
        ("library", {"/api/version": {"version": "0.14.0"}}, ("Ollama", "0.14.0"), None),
        ("someone", {}, (None, None), None),
        ("someone", {"/version": {"version": "1"}, "/info": "not json"}, (None, None), None),
    ],
    ids=["vllm", "sglang", "llamacpp", "tgi", "ollama", "unknown", "misleading"],
)  # fmt: skip
def test_who_it_is(
    serve: Callable[[dict[str, Any]], tuple[str, list[str]]],
    tmp_path: Path,
    owner: str,
    pages: dict[str, Any],
    expected: tuple[str | None, str | None],
    kept: dict[str, Any] | None,
) -> None:
    url, _ = serve({"/v1/models": models(owner), **pages})
    target = UrlTarget(kind="url", name="t", url=url)
    with open_target(target, OpenContext(tmp_path, print)) as opened:
        facts = opened.facts
    assert (facts.engine, facts.engine_version) == expected
    assert facts.settings.get("said") == kept
    if kept is not None:
        assert facts.dtype == kept.get("dtype", kept.get("model_dtype"))
        assert facts.model_revision == kept.get("model_sha")


def test_a_vllm_that_runs_already_is_found_and_asked_in_turn(
    serve: Callable[[dict[str, Any]], tuple[str, list[str]]], tmp_path: Path
) -> None:
    pages = {"/version": {"version": "0.32.0"}, "/metrics": CACHE}
    url, requested = serve({"/v1/models": models("vllm"), **pages})
    target = VllmTarget(kind="vllm", name="t", url=url, ask=["base", "other"])
    with open_target(target, OpenContext(tmp_path, print)) as opened:
        assert opened.process_id is None
        assert (opened.facts.kind, opened.facts.engine) == ("vllm", "vLLM")
        assert (opened.connection.model, opened.connection.models) == ("m", ["m", "other"])
        with pytest.raises(
            BadInput, match="the model 'other' is not among the 1 model that it lists"
        ):
            check_target(opened)
    assert set(requested) == {"/v1/models", "/version", "/metrics"}  # no other engine's pages


def test_a_managed_endpoint_is_not_asked_for_an_engines_pages(
    serve: Callable[[dict[str, Any]], tuple[str, list[str]]], tmp_path: Path
) -> None:
    url, requested = serve({"/v1/models": models("m")})
    target = UrlTarget(kind="url", name="t", url=url, hosting="managed")
    with open_target(target, OpenContext(tmp_path, print)) as opened:
        assert opened.facts.engine is None
    assert requested == ["/v1/models"]


def test_labels_are_read_as_plain_values() -> None:
    labels = 'block_size="128",cache_dtype="a,b",enable_prefix_caching="True",num_gpu_blocks="None"'
    assert cache_of(labels) == {
        "block_size": 128,
        "dtype": "a,b",
        "prefix_caching": True,
        "blocks": None,
    }
