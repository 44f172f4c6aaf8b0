"""A key stands in the request and nowhere else: no manifest, log, journal, database, page, command line,
hand-off or message has it, whichever provider it is for."""

import threading
import time
from pathlib import Path

import pytest

from observatory.endpoints.providers.catalogue import PROVIDERS
from observatory.endpoints.providers.provider import Provider, WireWord
from tests.live.harness import MEASURED, Workspace, descendants

pytestmark = pytest.mark.live

CANARY = "sk-canary-7f3a91c5d2e84b60"
EVERY_WIRE = pytest.mark.parametrize(
    ("provider", "word"),
    [(provider, word) for provider in PROVIDERS.values() for word in provider.wires],
    ids=[f"{name}-{word}" for name, provider in PROVIDERS.items() for word in provider.wires],
)
KEYED = """
name: keyed
seed: 3
workload: {kind: tasks, tasks: [support-tickets], max_tokens: 8}
arrivals: {kind: closed}
stages: [{concurrency: 1}]
timing: {warmup: 500ms, steady: 1500ms, drain: 3s}
telemetry: {interval: 500ms, codecarbon: false}
budget: {usd: 1}
"""
TARGET = """
targets:
  - kind: api
    name: bought
    provider: PROVIDER
    wire: WIRE
    model: emulated-model
    base_url: URL
    price: {input_per_million_usd: 1, output_per_million_usd: 2, source: round example, basis: example}
"""


def emulator(workspace: Workspace, key: str) -> str:
    """An emulated endpoint that accepts one key alone, in whichever header; its base URL."""
    server = workspace.start("emulate", "--port", "0", "--accept-key-env", "ONLY", ONLY=key)
    assert server.stdout is not None
    for line in server.stdout:
        if "base URL" in line:
            return line.split()[-1]
    raise AssertionError("the emulator did not say where it listens")


def run_and_look(workspace: Workspace, *arguments: str, **variables: str) -> None:
    """Run it; the key reaches the service, and nothing that is left or was to be seen has it."""
    child = workspace.start("run", "keyed", *arguments, "--publish", **variables)
    seen: set[str] = set()

    def look() -> None:
        """Every process of the run, again and again until it ends: a stage may be over in a second."""
        until = time.monotonic() + 120
        while child.poll() is None and time.monotonic() < until:
            for process in descendants(child.pid):
                try:
                    seen.add(" ".join(process.cmdline()))
                    handoff = process.environ().get("OBSERVATORY_HANDOFF")
                    if handoff:
                        seen.add(Path(handoff).read_bytes().decode("latin-1"))
                except Exception:  # a process that ended meanwhile
                    continue
            time.sleep(0.05)

    watcher = threading.Thread(target=look)
    watcher.start()
    out, err = child.communicate(timeout=120)
    watcher.join()
    assert child.returncode in MEASURED, out + err
    assert any("locust" in line for line in seen)
    assert any("emulated-model" in line for line in seen), "the hand-off was not seen"
    assert CANARY not in "".join(seen) + out + err
    (row,) = workspace.sql("select count(*) as n from request_metrics where outcome = 'ok'")
    assert row["n"] > 0  # the key did reach the endpoint, which accepts no other
    nowhere_on_disk(workspace)


def nowhere_on_disk(workspace: Workspace) -> None:
    for path in workspace.root.rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path


def bought(provider: Provider, word: WireWord, url: str) -> str:
    target = TARGET.replace("PROVIDER", provider.name).replace("WIRE", word).replace("URL", url)
    return KEYED + target


def test_a_key_of_a_url_appears_nowhere_but_in_the_request(workspace: Workspace) -> None:
    url = emulator(workspace, CANARY)
    workspace.write("keyed", KEYED)
    run_and_look(
        workspace, "--url", url, "--model", "emulated-model", "--api-key-env", "CANARY_KEY",
        CANARY_KEY=CANARY,
    )  # fmt: skip


@EVERY_WIRE
def test_a_providers_key_appears_nowhere_but_in_the_request(
    workspace: Workspace, provider: Provider, word: WireWord
) -> None:
    workspace.write("keyed", bought(provider, word, emulator(workspace, CANARY)))
    run_and_look(workspace, **{provider.key_variable: CANARY})
    (run,) = workspace.sql("select provider, wire, emulated from runs")
    assert (run["provider"], run["emulated"]) == (provider.name, True)


@EVERY_WIRE
def test_a_refused_key_is_not_shown_either(
    workspace: Workspace, provider: Provider, word: WireWord
) -> None:
    workspace.write("keyed", bought(provider, word, emulator(workspace, "another-key")))
    text = workspace.run("run", "keyed", code=2, **{provider.key_variable: CANARY})
    assert "401" in text
    assert provider.key_variable in text
    assert CANARY not in text
    nowhere_on_disk(workspace)
