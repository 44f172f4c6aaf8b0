"""observatory target: its facts, its checks, and that a check requests no completion."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from observatory.cli.setup.target import app
from observatory.core.errors import BadInput, TargetFailed
from tests.endpoints.conftest import Scripted, serving

CANARY = "sk-canary-4711-never-show-this"
LISTING = json.dumps({"data": [{"id": "m-1"}, {"id": "m-2"}]}).encode()


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An own workspace with two targets, as the current folder."""
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "targets.yaml").write_text(
        """
targets:
  - {kind: emulated, name: my-emulated}
  - {kind: url, name: my-gateway, url: "http://127.0.0.1:1/v1", model: m-1, api_key_env: MY_KEY}
"""
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_targets_are_listed_for_people_and_scripts(workspace: Path) -> None:
    shown = CliRunner().invoke(app, ["list"]).stdout
    assert "my-gateway" in shown
    assert "http://127.0.0.1:1/v1" in shown
    rows = {
        row["name"]: row for row in json.loads(CliRunner().invoke(app, ["list", "--json"]).stdout)
    }
    assert rows["my-emulated"]["model"] == "emulated-model"
    assert rows["my-emulated"]["endpoint"] == "started on loopback"
    assert rows["my-gateway"]["hosting"] == "self"


def test_a_check_of_a_url_lists_models_and_shows_a_request_without_the_key(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Scripted(body=LISTING)
    monkeypatch.setenv("MY_KEY", CANARY)
    with serving(script):
        path = workspace / "scenarios" / "targets.yaml"
        path.write_text(path.read_text().replace("http://127.0.0.1:1/v1", script.url))
        done = CliRunner().invoke(app, ["check", "my-gateway"])
    assert done.exit_code == 0, done.exception
    assert f"my-gateway: {script.url} answers" in done.stdout
    assert "it has the model 'm-1', and 1 other" in done.stdout
    assert f"POST {script.url}/chat/completions" in done.stdout
    assert "Authorization: Bearer ${MY_KEY}" in done.stdout
    assert CANARY not in done.output
    requested = [(method, path) for method, path, _, _ in script.seen]
    assert requested[0] == requested[-1] == ("GET", "/v1/models")
    assert {method for method, _ in requested} == {"GET"}  # who it is; nothing that costs anything


def test_the_request_to_an_engine_that_is_found_is_shown_and_not_that_to_one_that_is_started(
    workspace: Path,
) -> None:
    targets = workspace / "scenarios" / "targets.yaml"
    targets.write_text(
        """
targets:
  - {kind: vllm, name: found, url: "http://127.0.0.1:1/v1", model: m-1}
  - {kind: llamacpp, name: started}
"""
    )
    shown = CliRunner().invoke(app, ["check", "found", "--show"])
    assert shown.exit_code == 0, shown.exception
    assert "POST http://127.0.0.1:1/v1/chat/completions" in shown.stdout
    refused = CliRunner().invoke(app, ["check", "started", "--show"])
    assert isinstance(refused.exception, BadInput)
    assert "only known once it is started" in str(refused.exception)


def test_a_request_is_shown_without_a_key_and_without_contact(workspace: Path) -> None:
    shown = CliRunner().invoke(app, ["check", "my-gateway", "--show"])
    assert shown.exit_code == 0, shown.exception
    assert "POST http://127.0.0.1:1/v1/chat/completions" in shown.stdout
    assert "Authorization: Bearer ${MY_KEY}" in shown.stdout
    output = CliRunner().invoke(app, ["check", "my-gateway", "--show", "--json"]).stdout
    assert json.loads(output)["would_send"] in shown.stdout
    path = workspace / "scenarios" / "targets.yaml"
    path.write_text(
        path.read_text()
        + "  - {kind: api, name: claude, provider: anthropic, model: claude-haiku-4-5}\n"
        + "  - {kind: api, name: sdk, provider: openai, model: gpt-4.1-mini, transport: sdk}\n"
    )
    claude = CliRunner().invoke(app, ["check", "claude", "--show"]).stdout
    assert "POST https://api.anthropic.com/v1/messages" in claude
    assert "x-api-key: ${ANTHROPIC_API_KEY}\n" in claude
    assert "anthropic-version: 2023-06-01" in claude
    assert "the openai package sends this body" not in claude
    sdk = CliRunner().invoke(app, ["check", "sdk", "--show"]).stdout
    assert "the openai package sends this body with headers of its own" in sdk
    started = CliRunner().invoke(app, ["check", "my-emulated", "--show"])
    assert isinstance(started.exception, BadInput)
    assert "only known once it is started" in str(started.exception)


def test_an_emulated_target_is_started_for_its_check_and_marked(workspace: Path) -> None:
    done = CliRunner().invoke(app, ["check", "my-emulated"])
    assert done.exit_code == 0, done.exception
    assert "my-emulated (EMULATED)" in done.stdout


def test_a_check_for_scripts(workspace: Path) -> None:
    with serving(script := Scripted(body=LISTING)):
        done = CliRunner().invoke(app, ["check", "--url", script.url, "--model", "m-2", "--json"])
    found = json.loads(done.stdout)
    assert (found["model"], found["models"]) == ("m-2", ["m-1", "m-2"])


@pytest.mark.parametrize(
    ("arguments", "fault", "message"),
    [
        ([], BadInput, "name a target, or give --url"),
        (["my-emulated", "--url", "http://h/v1"], BadInput, "one of the two"),
        (["my-emulated", "--model", "m"], BadInput, "--model goes with --url"),
        (["my-gatway"], BadInput, "did you mean 'my-gateway'"),
        (["my-gateway"], BadInput, "MY_KEY is not set"),
        (["--url", "http://127.0.0.1:1/v1"], TargetFailed, "the connection was refused"),
    ],
)
def test_what_cannot_be_checked_is_said(
    workspace: Path, arguments: list[str], fault: type[Exception], message: str
) -> None:
    done = CliRunner().invoke(app, ["check", *arguments])
    assert isinstance(done.exception, fault)
    assert message in str(done.exception)
