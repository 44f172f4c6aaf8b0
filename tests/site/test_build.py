"""The whole site from seeded warehouses: same bytes, honest marks, no secret, no foreign address."""

import hashlib
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from observatory.cli.measure.run import _publish
from observatory.core.errors import BadInput
from observatory.core.workspace import Workspace, shipped
from observatory.site.build import build_site
from observatory.site.downloads import EXAMPLES
from observatory.site.queries.reader import open_reader
from tests.site.reading import words
from tests.site.seeds import EVERYTHING

Planter = Callable[..., Workspace]
HOSTILE = "</script><img src=x onerror=alert(1)>&{{1234567*7}}"


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_rebuilding_gives_the_same_bytes(whole: Workspace, built: Path, tmp_path: Path) -> None:
    again = build_site(whole, tmp_path / "again")
    assert contents(again) == contents(built)
    assert len(list((again / "runs").iterdir())) == len(EVERYTHING)


def test_without_a_database_the_site_says_what_to_do(workspace: Workspace) -> None:
    built = build_site(workspace)
    assert built == workspace.site_output
    assert "observatory run quickstart" in words(built / "index.html")
    assert "observatory run quickstart" in words(built / "data.html")


def test_an_empty_database_builds_too(planter: Planter) -> None:
    built = build_site(planter())
    assert "Nothing has been measured yet" in words(built / "index.html")
    assert pl.read_parquet(built / "data" / "request_metrics.parquet").height == 0


def test_a_workspace_of_an_older_version_gets_the_pages_that_came_later(
    workspace: Workspace,
) -> None:
    shutil.copytree(shipped("site") / "templates", workspace.root / "site" / "templates")
    shutil.copytree(shipped("site") / "assets", workspace.root / "site" / "assets")
    (workspace.root / "site" / "templates" / "energy.html").unlink()
    assert (build_site(workspace) / "energy.html").is_file()


def test_a_template_of_ones_own_that_cannot_be_filled_is_named(workspace: Workspace) -> None:
    shutil.copytree(shipped("site") / "templates", workspace.root / "site" / "templates")
    shutil.copytree(shipped("site") / "assets", workspace.root / "site" / "assets")
    (workspace.root / "site" / "templates" / "runs.html").write_text("{{ no_such_thing }}")
    with pytest.raises(BadInput, match=r"templates/runs\.html: .*no_such_thing"):
        build_site(workspace)


def test_a_folder_of_somebody_else_is_not_replaced(workspace: Workspace, tmp_path: Path) -> None:
    precious = tmp_path / "home"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInput, match="no site build wrote"):
        build_site(workspace, precious)
    assert (precious / "thesis.txt").read_text() == "years of work"
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="not a folder"):
        build_site(workspace, tmp_path / "file")


def test_a_rebuild_leaves_no_stale_page(planter: Planter, seeds: dict[str, Any]) -> None:
    workspace = planter(seeds["smollm2-llamacpp"])
    built = build_site(workspace)
    (built / "runs" / "stale.html").write_text("old")
    build_site(workspace)
    assert not (built / "runs" / "stale.html").exists()
    assert [path.name for path in built.parent.iterdir()] == [built.name]


def test_invalid_runs_are_left_out_and_counted(built: Path) -> None:
    text = words(built / "index.html")
    assert "1 run is left out of everything below." in text
    assert "its own delay is in every figure" in text
    overview = (built / "index.html").read_text()
    cards = re.findall(r'<article class="card.*?</article>', overview, flags=re.S)
    assert len(cards) == 10
    assert not any("bad-client" in card for card in cards)


def test_one_real_target_beside_an_emulated_one_is_compared_with_nothing(
    planter: Planter, seeds: dict[str, Any]
) -> None:
    built = build_site(planter(seeds["smollm2-llamacpp"], seeds["emulated-api"]))
    text = words(built / "index.html")
    assert "Left out of the comparison, because it is emulated: emulated-api" in text


def test_emulated_targets_are_marked_and_enter_no_statement(built: Path) -> None:
    html = (built / "index.html").read_text()
    for row in re.findall(r"<tr[^>]*>.*?</tr>", html, flags=re.S):
        if "emulated-api" in row:
            assert 'class="emulated"' in row
    for key in re.findall(r'<ul class="key".*?</ul>', html, flags=re.S):
        for entry in re.findall(r"<span>(emulated-api[^<]*)</span>", key):
            assert entry == "emulated-api (emulated)"
    for statement in re.findall(r'<div class="said">.*?</div>', html, flags=re.S):
        assert "emulated-api has the lowest" not in statement


def test_every_comparison_row_and_key_carries_its_verdict(built: Path) -> None:
    html = (built / "index.html").read_text()
    rows = re.findall(r'<th scope="row">.*?</th>', html, flags=re.S)
    assert rows
    for row in rows:
        assert re.search(r'class="badge (valid|degraded)"', row), row
    charts = re.split(r"(?=<figure )", html)
    of_targets = [chart for chart in charts if not re.match(r'<figure [^>]*-phases"', chart)]
    assert len(charts) - len(of_targets) == 1
    for key in re.findall(r'<ul class="key".*?</ul>', "".join(of_targets), flags=re.S):
        assert key.count("<li>") == key.count('class="badge ')


def test_figures_without_enough_requests_say_so(built: Path) -> None:
    text = words(built / "index.html")
    assert re.search(r"needs 662, has \d+ at least \d+ ms; too few requests", text)
    assert "> timeout" in text
    assert "no sensor could tell the target's energy apart" in text


def test_prices_carry_their_basis(built: Path) -> None:
    text = words(built / "index.html")
    assert re.search(r"\$0\.\d+ example", text)
    assert re.search(r"\$0\.\d+ list price", text)
    assert re.search(r"\$0\.\d+ stated", text)


def test_between_models_a_winner_has_the_scores_beside_it(built: Path) -> None:
    html = (built / "index.html").read_text()
    winners = [item for item in re.findall(r"<li>.*?</li>", html, flags=re.S) if "lowest" in item]
    assert winners
    for item in winners:
        assert item.count("score 0.") == 2


def test_no_host_no_answer_and_no_other_address_is_on_any_page(built: Path) -> None:
    for path in sorted(built.rglob("*")):
        if path.suffix not in (".html", ".csv", ".css"):
            continue
        text = path.read_text(encoding="utf-8")
        for secret in ("secret-host-17", "gpu-07.corp.example", "THE ANSWER TEXT"):
            assert secret not in text, (path.name, secret)
        assert not re.search(r'(?:src|href)="(?:https?:)?//', text), path.name
        assert "url(" not in text or path.suffix != ".css", path.name
    columns = pl.read_parquet(built / "data" / "request_metrics.parquet").columns
    assert not {"answer", "reasoning"} & set(columns)


def test_hosts_are_shown_where_that_was_allowed(planter: Planter, seeds: dict[str, Any]) -> None:
    shown = build_site(planter(seeds["team-vllm"]), show_host=True)
    [page] = (shown / "runs").iterdir()
    assert "http://gpu-07.corp.example:8000/v1" in words(page)
    assert "secret-host-17" in words(page)


def test_only_published_runs_are_shown_where_that_was_asked(
    whole: Workspace, tmp_path: Path
) -> None:
    published = build_site(whole, tmp_path / "published", only_published=True)
    assert len(list((published / "runs").iterdir())) == 2
    targets = pl.read_parquet(published / "data" / "request_metrics.parquet")["target"]
    assert set(targets) == {"team-vllm", "managed-open"}
    assert "smollm2-llamacpp" not in words(published / "index.html")


def test_a_run_with_publish_builds_the_published_runs_alone(
    planter: Planter, seeds: dict[str, Any]
) -> None:
    """Failed runs that no one marked stay off the pages that are copied to a web server."""
    workspace = planter(seeds["team-vllm"], seeds["smollm2-llamacpp"])
    built = _publish(workspace, object())
    assert built == workspace.site_output.resolve()
    assert len(list((built / "runs").iterdir())) == 1
    text = words(built / "runs.html")
    assert "Every published run" in text
    assert "smollm2-llamacpp" not in text


def test_a_later_campaign_that_is_not_published_hides_no_published_one(
    planter: Planter, seeds: dict[str, Any]
) -> None:
    shown = replace(
        seeds["team-vllm"], campaign="c1", created="2026-11-20T09:00:00Z", chosen_id="r1"
    )
    hidden = replace(
        seeds["team-vllm"],
        campaign="c2",
        created="2026-11-21T09:00:00Z",
        chosen_id="r2",
        publish=False,
    )
    built = build_site(planter(shown, hidden), only_published=True)
    rows = pl.read_parquet(built / "data" / "target_comparison.parquet")
    assert set(rows["run_id"]) == {"r1"}
    assert set(rows["invalid_runs"]) == {0}


def test_hostile_text_stays_text(planter: Planter, seeds: dict[str, Any]) -> None:
    hostile = replace(
        seeds["closed-frontier"],
        name=HOSTILE,
        scenario=HOSTILE,
        sentence=HOSTILE,
        error_text=HOSTILE,
        chosen_id=f"../../{HOSTILE}",
    )
    built = build_site(planter(hostile))
    assert not list(built.parent.parent.glob("*.html"))
    [page] = (built / "runs").iterdir()
    assert re.fullmatch(r"[0-9a-f]{16}\.html", page.name)
    for path in sorted(built.rglob("*.html")):
        html = path.read_text(encoding="utf-8")
        assert "<img" not in html
        assert html.count("<script") == html.count("</script>")
        assert "8641969" not in html
    assert HOSTILE.replace("<", "&lt;").replace(">", "&gt;").replace("&{", "&amp;{") in (
        page.read_text()
    )


def test_a_run_page_tells_the_run(built: Path) -> None:
    page = next((built / "runs").glob("*closed-frontier*"))
    text = words(page)
    for reported in (
        "Time to first token",
        "Failed requests never arrive",
        "http status",
        "list price",
        "Example CPU",
        "arithmetic",
        "first token within 1 s",
        "python",
    ):
        assert reported in text
    stopped = words(next((built / "runs").glob("*stopped-early*")))
    assert "stopped by a person" in stopped
    assert "interrupted" in stopped
    judged = words(next((built / "runs").glob("*bad-client*")))
    assert "client cpu" in judged
    assert "0.98" in judged and "0.95" in judged


def test_every_example_query_runs(whole: Workspace) -> None:
    with open_reader(whole) as reader:
        assert reader is not None
        for example in EXAMPLES:
            assert reader.frame(example.sql).width >= 4, example.question


def test_a_view_that_is_too_long_is_not_offered(
    planter: Planter, seeds: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("observatory.site.downloads.PARQUET_ROWS", 20)
    monkeypatch.setattr("observatory.site.downloads.CSV_ROWS", 1)
    built = build_site(planter(seeds["stopped-early"]))
    assert sorted(path.name for path in (built / "data").iterdir()) == [
        "cost_components.csv",
        "cost_components.parquet",
        "matrix_comparison.csv",
        "matrix_comparison.parquet",
        "matrix_figures.csv",
        "matrix_figures.parquet",
        "money_per_run.csv",
        "money_per_run.parquet",
        "request_costs.csv",
        "request_costs.parquet",
        "run_summary.csv",
        "run_summary.parquet",
        "stage_summary.parquet",
        "target_comparison.parquet",
        "throttling.parquet",
    ]
    text = words(built / "data.html")
    assert "too long use observatory export" in text
    assert "too long use the Parquet file" in text


def test_every_page_forbids_other_addresses(built: Path) -> None:
    for path in sorted(built.rglob("*.html")):
        head = path.read_text(encoding="utf-8").split("</head>")[0]
        assert "default-src &#39;none&#39;; script-src &#39;self&#39;" in head, path.name


def test_the_methodology_tells_of_engines_sensors_and_the_gates_of_energy(built: Path) -> None:
    html = (built / "methodology.html").read_text()
    for anchor in ("engines", "sensors", "energy", "energy-gates", "bases"):
        assert f'id="{anchor}"' in html
    text = words(built / "methodology.html")
    assert "a third party's build of an engine is labelled as one" in text
    assert "readings cover at least 90 % of it, and no gap between them is over 3 s" in text
    from observatory.analysis.checks.energy_checks import LEAST_WINDOW_S, LIMIT_FACTOR
    from observatory.economics.window import LEAST_COVERAGE, LONGEST_GAP_S

    assert (LEAST_WINDOW_S, LIMIT_FACTOR, LEAST_COVERAGE, LONGEST_GAP_S) == (30, 1.1, 0.9, 3)
    assert 'href="methodology.html#energy-gates"' in (built / "energy.html").read_text()
