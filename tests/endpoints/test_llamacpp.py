"""llama.cpp itself, with the built-in model: its responses, its errors, and nothing left behind."""

import hashlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest

from observatory.core.errors import BadInput, EnvironmentFailed, TargetFailed
from observatory.core.targets.llamacpp import LlamaCppTarget
from observatory.endpoints.catalogue import open_target
from observatory.endpoints.check import check_target
from observatory.endpoints.opened import OpenContext
from observatory.models import model_catalogue, models
from observatory.models.gguf import read_metadata

MODEL = "smollm2-135m-instruct-q4_1"

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("no_ambient_openai")]


@pytest.fixture(scope="module")
def model_file() -> Path:
    return models.pull(MODEL, print)


def target(**fields: Any) -> LlamaCppTarget:
    return LlamaCppTarget(**({"kind": "llamacpp", "name": "local", "parallel": 2} | fields))


@pytest.fixture
def context(logs: Path) -> OpenContext:
    return OpenContext(logs, lambda text: None)


def test_it_comes_up_answers_the_openai_package_and_goes(
    model_file: Path, context: OpenContext
) -> None:
    with open_target(target(context=512), context) as opened:
        facts, connection = opened.facts, opened.connection
        assert check_target(opened).models == [MODEL]
        with openai.OpenAI(api_key="any", base_url=connection.endpoint, max_retries=0) as client:
            stream = client.chat.completions.create(
                model=connection.model,
                messages=[{"role": "user", "content": "Say hello."}],
                max_tokens=8,
                stream=True,
                stream_options={"include_usage": True},
            )
            events = list(stream)
        text = "".join(event.choices[0].delta.content or "" for event in events if event.choices)
        assert text.strip()
        assert events[-1].usage is not None
        assert 1 <= events[-1].usage.completion_tokens <= 8
        http_client = http.client.HTTPConnection(connection.host, connection.port, timeout=10)
        http_client.request("GET", "/metrics")
        assert b"llamacpp:prompt_tokens_cached_total" in http_client.getresponse().read()
        http_client.close()
        assert opened.process_id is not None
        assert opened.alive() is None
    assert not psutil.pid_exists(opened.process_id)
    assert (facts.engine, facts.license, facts.tokenizer) == (
        "llama.cpp",
        "Apache-2.0",
        "gpt2/smollm",
    )
    assert facts.model_sha256 == model_catalogue.MODELS[MODEL].sha256
    assert facts.settings["n_ctx"] == 2 * 512
    assert facts.settings["n_parallel"] == 2
    assert facts.on_this_host
    assert not facts.emulated


def test_the_file_and_its_licence_are_as_the_catalogue_says(model_file: Path) -> None:
    model = model_catalogue.MODELS[MODEL]
    assert model_file.stat().st_size == model.size_bytes
    assert hashlib.sha256(model_file.read_bytes()).hexdigest() == model.sha256
    assert read_metadata(model_file)["general.license"] == model.license.lower()


def test_a_users_own_file_is_served_under_its_name(
    model_file: Path, context: OpenContext, tmp_path: Path
) -> None:
    own = tmp_path / "My-Model.Q4.gguf"
    shutil.copyfile(model_file, own)
    with open_target(target(model=str(own), parallel=1), context) as opened:
        assert check_target(opened).models == ["My-Model.Q4"]
        assert opened.facts.license == "apache-2.0"


def test_its_death_is_said_and_why(model_file: Path, context: OpenContext) -> None:
    with open_target(target(), context) as opened:
        assert opened.process_id is not None
        os.kill(opened.process_id, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while (why := opened.alive()) is None and time.monotonic() < deadline:
            time.sleep(0.01)
    assert why is not None
    assert why.startswith("llama.cpp of local ended by signal SIGKILL (out of memory?)")


def test_a_port_that_is_taken(model_file: Path, context: OpenContext) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EnvironmentFailed, match=rf"127\.0\.0\.1:{port}: the port is taken"):
            open_target(target(port=port), context)


def test_a_port_that_is_free(model_file: Path, context: OpenContext) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with open_target(target(port=port), context) as opened:
        assert opened.connection.port == port


def test_a_file_that_was_cut(model_file: Path, context: OpenContext, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    with model_file.open("rb") as file:
        cut.write_bytes(file.read(20_000_000))
    with pytest.raises(EnvironmentFailed, match=r"could not start; .*corrupted or incomplete"):
        open_target(target(model=str(cut)), context)


def test_a_gpu_that_is_not_there(model_file: Path, context: OpenContext) -> None:
    import xllamacpp

    if any("GPU" in device["type"].name for device in xllamacpp.get_device_info()):
        pytest.skip("there is a GPU")
    with pytest.raises(BadInput, match="sees no GPU — install xllamacpp for your GPU"):
        open_target(target(gpu_layers=-1), context)


def test_too_little_time_to_start(model_file: Path, context: OpenContext, logs: Path) -> None:
    before = set(psutil.Process().children())
    with pytest.raises(TargetFailed, match=r"was not ready in time; .*raise start_timeout"):
        open_target(target(start_timeout="10ms"), context)
    assert not set(psutil.Process().children()) - before


PARENT = """
import sys, time
from pathlib import Path
from observatory.core.targets.llamacpp import LlamaCppTarget
from observatory.endpoints.opened import OpenContext
from observatory.endpoints.catalogue import open_target
target = LlamaCppTarget(kind="llamacpp", name="local", parallel=1)
opened = open_target(target, OpenContext(Path(sys.argv[1]), lambda text: None))
print(opened.process_id, flush=True)
time.sleep(600)
"""


def test_kill_9_of_the_parent_leaves_no_engine(model_file: Path, logs: Path) -> None:
    argv = [sys.executable, "-c", PARENT, str(logs)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        engine = int(parent.stdout.readline())
        assert psutil.pid_exists(engine)
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + 20
    while alive(engine) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(engine)


def alive(process_id: int) -> bool:
    try:
        return psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
