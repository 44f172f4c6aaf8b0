"""What pip is configured with reaches uv, unless uv was configured itself."""

from pathlib import Path

import pytest

from observatory.engines.pip_settings import no_index, uv_variables


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with pip's files, and none anywhere else that this user can be given."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("sys.prefix", str(tmp_path / "prefix"))
    for path, text in {
        ".config/pip/pip.conf": "[global]\nindex-url = https://one/simple\ntimeout = 7\n",
        "prefix/pip.conf": "[install]\nfind-links =\n    /a\n    /b\n[global]\nfind-links = /c\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def test_files_are_read_and_the_later_one_wins(home: Path) -> None:
    found = uv_variables({})
    assert found["UV_DEFAULT_INDEX"] == "https://one/simple"
    assert (found["UV_HTTP_TIMEOUT"], found["UV_FIND_LINKS"]) == ("7", "/a,/b")
    own = home / "own.conf"
    own.write_text("[global]\nindex_url = https://two/simple\n")
    assert uv_variables({"PIP_CONFIG_FILE": str(own)})["UV_DEFAULT_INDEX"] == "https://two/simple"


def test_a_file_that_a_variable_names_takes_the_place_of_those_in_the_home_folder(
    home: Path,
) -> None:
    own = home / "own.conf"
    missing = uv_variables({"PIP_CONFIG_FILE": str(own)})
    assert (missing["UV_HTTP_TIMEOUT"], missing["UV_FIND_LINKS"]) == ("7", "/a,/b")
    own.write_text("[global]\nretries = 3\n")
    found = uv_variables({"PIP_CONFIG_FILE": str(own)})
    assert found.get("UV_HTTP_TIMEOUT") != "7"
    assert (found["UV_HTTP_RETRIES"], found["UV_FIND_LINKS"]) == ("3", "/a,/b")


def test_a_variable_of_pip_wins_over_its_files_and_one_of_uv_over_both(home: Path) -> None:
    pip = {"PIP_INDEX_URL": "https://three/simple"}
    assert uv_variables(pip)["UV_DEFAULT_INDEX"] == "https://three/simple"
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        assert "UV_DEFAULT_INDEX" not in uv_variables({**pip, name: "https://four/simple"})


def test_the_best_version_of_all_of_pips_indexes_is_taken(home: Path) -> None:
    found = uv_variables({"PIP_EXTRA_INDEX_URL": "https://x/simple https://y/simple"})
    assert found["UV_INDEX"] == "https://x/simple https://y/simple"
    assert found["UV_INDEX_STRATEGY"] == "unsafe-best-match"


@pytest.mark.parametrize(
    ("value", "wanted"), [("1", True), ("true", True), ("Y", True), ("t", True), ("0", False)]
)
def test_no_index_is_a_switch(value: str, wanted: bool) -> None:
    assert no_index({"PIP_CONFIG_FILE": "/dev/null", "PIP_NO_INDEX": value}) is wanted


def test_the_timeout_has_two_names() -> None:
    nothing = {"PIP_CONFIG_FILE": "/dev/null"}
    for name in ("PIP_TIMEOUT", "PIP_DEFAULT_TIMEOUT"):
        assert uv_variables({**nothing, name: "9"}) == {"UV_HTTP_TIMEOUT": "9"}


def test_pips_proxy_is_that_of_http_and_https() -> None:
    pip = {"PIP_CONFIG_FILE": "/dev/null", "PIP_PROXY": "http://proxy:3128"}
    assert uv_variables(pip) == {"ALL_PROXY": "http://proxy:3128"}
    assert uv_variables({**pip, "https_proxy": "http://other:3128"}) == {}


def test_a_damaged_file_is_passed_over(home: Path) -> None:
    (home / "prefix" / "pip.conf").write_text("no section")
    assert "UV_FIND_LINKS" not in uv_variables({})
