"""What --url is called, and that no address is dropped."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from observatory.cli.main import app
from observatory.cli.setup.endpoint_names import one_url, unused_name
from observatory.core.errors import BadInput
from observatory.core.workspace import open_workspace
from tools.echo_server import echo_server


def test_a_second_url_is_an_error_and_not_dropped() -> None:
    assert one_url(None) is None and one_url(["http://a"]) == "http://a"
    with pytest.raises(BadInput, match="2 addresses"):
        one_url(["http://a", "http://b"])
    twice = ["--url", "http://127.0.0.1:1/v1", "--url", "http://127.0.0.1:2/v1"]
    for verb in (["run", "quickstart"], ["target", "check"], ["limits"]):
        result = CliRunner().invoke(app, [*verb, *twice])
        assert isinstance(result.exception, BadInput), result.output
        assert result.exception.exit_code == 2


def test_a_name_without_an_address_is_refused() -> None:
    for verb in (["run", "quickstart", "--dry-run"], ["limits"]):
        result = CliRunner().invoke(app, [*verb, "--name", "mine"])
        assert isinstance(result.exception, BadInput) and "--url" in str(result.exception)


def test_the_name_is_the_models_and_never_the_hosts(tmp_path: Path) -> None:
    space = open_workspace(root=tmp_path)
    assert unused_name(space, "http://gpu-17:8000/v1", "org/Model-7B") == "model-7b"
    unknown = unused_name(space, "http://gpu-17:8000/v1", None, list_models=False)
    assert unknown.startswith("endpoint-") and "gpu" not in unknown
    with echo_server() as server:
        url = f"http://127.0.0.1:{server.server_port}/vllm/v1"
        assert unused_name(space, url, None) == "m"
        assert unused_name(space, url, None, list_models=False).startswith("endpoint-")
