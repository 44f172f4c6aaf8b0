"""Scenario and target files: what is read, and refusals that name file, line, path and what is allowed."""

from pathlib import Path

import pytest

from observatory.core.errors import BadInput, ExitCode
from observatory.core.targets.llamacpp import LlamaCppTarget
from observatory.core.targets.url import UrlTarget
from observatory.core.targets.vllm import VllmTarget
from observatory.core.workspace import Workspace
from observatory.inputs.scenario_files import list_scenarios, load_scenario
from observatory.inputs.target_files import load_targets, pick_target, read_targets

GOOD = """
name: mine
workload:
  kind: tasks
  tasks: [support-tickets]
arrivals: {kind: closed}
stages:
  - concurrency: 1
  - concurrency: 4
"""
"""Ten lines; mistakes are written into it by replacing one of them."""


def _refusal(path: Path, workspace: Workspace) -> str:
    with pytest.raises(BadInput) as caught:
        load_scenario(str(path), workspace)
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    return str(caught.value)


def test_a_scenario_is_read_with_its_defaults(write, workspace) -> None:
    loaded = load_scenario(str(write(GOOD)), workspace)
    assert loaded.scenario.name == "mine"
    assert loaded.scenario.workload.cache == "cold"
    assert [stage.concurrency for stage in loaded.scenario.stages] == [1, 4]
    assert loaded.scenario.timing.steady == 30.0
    assert loaded.targets == []


@pytest.mark.parametrize(
    ("line", "mistake", "message"),
    [
        ("  kind: tasks", "  kind: task",
         "mine.yaml:3: workload.kind: 'task' is not allowed, did you mean 'tasks'? "
         "— allowed: tasks, file, synthetic"),
        ("  kind: tasks", "  type: tasks",
         "mine.yaml:2: workload: 'kind' is missing — one of file, synthetic, tasks"),
        ("  tasks: [support-tickets]", "  tasks: [suport-tickets]",
         "mine.yaml:4: workload.tasks[0]: 'suport-tickets' is not allowed, did you mean "
         "'support-tickets'? — allowed: support-tickets, extraction, summarisation, "
         "passage-questions, code, arithmetic"),
        ("  tasks: [support-tickets]", "  tasks: [code]\n  max_token: 5",
         "mine.yaml:5: workload.max_token: unknown key 'max_token', did you mean 'max_tokens'? "
         "— allowed here: cache, items, kind, max_tokens, reasoning_effort, request, sampling, "
         "stream, system, tasks"),
        ("  tasks: [support-tickets]", "  tasks: []",
         "mine.yaml:4: workload.tasks: needs at least 1 entry"),
        ("  tasks: [support-tickets]", "  tasks: code",
         "mine.yaml:4: workload.tasks: 'code' is not a list ([a, b], or lines that start with -)"),
        ("  tasks: [support-tickets]", "  tasks: [code]\n  cache: hot",
         "mine.yaml:5: workload.cache: 'hot' is not allowed — allowed: cold, natural, warm"),
        ("  tasks: [support-tickets]", "  tasks: [code]\n  stream: yes",
         "mine.yaml:5: workload.stream: 'yes' is not true or false"),
        ("  tasks: [support-tickets]", "  tasks: [code]\n  sampling: {temperature: 3}",
         "mine.yaml:5: workload.sampling.temperature: 3 is out of range: at most 2"),
        ("  tasks: [support-tickets]",
         "  tasks: [code]\n  request: completions\n  reasoning_effort: low",
         "mine.yaml:2: workload: reasoning_effort is for request: chat"),
        ("arrivals: {kind: closed}", "arrivals: {kind: closd}",
         "mine.yaml:5: arrivals.kind: 'closd' is not allowed, did you mean 'closed'? "
         "— allowed: closed, constant, poisson"),
        ("arrivals: {kind: closed}", "arrivals: {kind: poisson, think_time: 1s}",
         "mine.yaml:5: arrivals.think_time: unknown key 'think_time' "
         "— allowed here: kind, max_in_flight"),
        ("arrivals: {kind: closed}", "arrivals: {kind: poisson}",
         "mine.yaml:7: stage 1: arrivals poisson takes rate, not concurrency"),
        ("arrivals: {kind: closed}", "arrivals: closed",
         "mine.yaml:5: arrivals: 'closed' is not a mapping"),
        ("arrivals: {kind: closed}", "#", "mine.yaml:1: arrivals: is missing"),
        ("  - concurrency: 4", "  - rate: 4/s",
         "mine.yaml:8: stage 2: arrivals closed takes concurrency, not rate"),
        ("  - concurrency: 4", "  - {concurrency: 4, rate: 2/s}",
         "mine.yaml:6: stages: stage 2: give concurrency or rate, one of the two"),
        ("  - concurrency: 4", "  - rate: 2/sec",
         "mine.yaml:8: stages[1].rate: '2/sec' is not a rate: write a number, a slash and a unit, "
         "one of s, min, m, h, such as 2/s or 90/min"),
        ("  - concurrency: 4", "  - concurrency: '4'",
         "mine.yaml:8: stages[1].concurrency: '4' is not a whole number: remove the quotes"),
        ("  - concurrency: 4", "  - concurrency: 0",
         "mine.yaml:8: stages[1].concurrency: 0 is out of range: at least 1"),
        ("  - concurrency: 4", "  - concurrency: 2.5",
         "mine.yaml:8: stages[1].concurrency: 2.5 is not a whole number"),
        ("  - concurrency: 4", "  - concurrency: true",
         "mine.yaml:8: stages[1].concurrency: true is not a whole number"),
        ("  - concurrency: 4", "  - concurrency: 4\ntiming: {steady: 30}",
         "mine.yaml:9: timing.steady: 30 is not a duration: write a number and a unit, "
         "one of us, ms, s, min, m, h, d, such as 500ms or 30s"),
        ("  - concurrency: 4", "  - concurrency: 4\ntiming:\n  warmup: 1s\n  steady: 0s",
         "mine.yaml:11: timing.steady: must be longer than nothing"),
        ("  - concurrency: 4", "  - concurrency: 4\nslo: {attainment: 0.9}",
         "mine.yaml:9: slo.per_request: is missing"),
        ("  - concurrency: 4", "  - concurrency: 4\nbudget:",
         "mine.yaml:9: budget: there is nothing here: give a value or remove the key"),
        ("  - concurrency: 4", "  - concurrency: 4\nbudget: {usd: 0}",
         "mine.yaml:9: budget.usd: 0 is out of range: more than 0"),
        ("  - concurrency: 4", "  - concurrency: 4\nbudgets: {usd: 1}",
         "mine.yaml:9: budgets: unknown key 'budgets', did you mean 'budget'?"),
        ("name: mine", "name: My Scenario",
         "mine.yaml:1: name: 'My Scenario' does not fit — lower-case letters, digits, dot, dash "
         "and underscore; 64 at most"),
        ("name: mine", "name: mine\nname: twice",
         "mine.yaml:2: 'name' is written twice, first in line 1"),
        ("name: mine", "name: 5", "mine.yaml:1: name: 5 is not text (put it in quotes)"),
        ("name: mine", "name: mine\nseed: -1",
         "mine.yaml:2: seed: -1 is out of range: at least 0"),
        ("name: mine", "name: mine\ntelemetry: {country: Germany}",
         "mine.yaml:2: telemetry.country: 'Germany' does not fit — it must match ^[A-Z]{3}$"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_file_line_path_and_what_is_allowed(
    write, workspace, line: str, mistake: str, message: str
) -> None:
    assert line in GOOD
    assert _refusal(write(GOOD.replace(line, mistake, 1)), workspace).startswith(
        f"scenarios/{message}"
    )


def test_all_mistakes_are_told_at_once_in_the_files_order(write, workspace) -> None:
    bad = GOOD.replace("concurrency: 4", "rate: x").replace("kind: closed", "kind: open")
    message = _refusal(write(bad.replace("support-tickets", "chess")), workspace).splitlines()
    assert message[0] == "scenarios/mine.yaml: 3 errors"
    assert [line.split(": ")[0] for line in message[1:]] == [
        f"scenarios/mine.yaml:{number}" for number in (4, 5, 8)
    ]


def test_hundreds_of_mistakes_do_not_flood_the_terminal(write, workspace) -> None:
    message = _refusal(write(GOOD + "\n".join(f"wrong{n}: 1" for n in range(200))), workspace)
    assert message.startswith("scenarios/mine.yaml: 200 errors\n")
    assert message.endswith("\n... and 180 more")
    assert len(message.splitlines()) == 22


SYNTHETIC = """
name: mine
workload:
  kind: synthetic
  prompt_tokens: {distribution: uniform, low: 9, high: 3}
  output_tokens: {distribution: lognormal, median: 5, p95: 9}
arrivals: {kind: closed}
stages: [{concurrency: 1}]
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("", "", "mine.yaml:4: workload.prompt_tokens: high is below low"),
        ("distribution: uniform", "distribution: normal",
         "mine.yaml:4: workload.prompt_tokens.distribution: 'normal' is not allowed"),
        ("high: 3", "hgih: 13", "mine.yaml:4: workload.prompt_tokens.high: is missing"),
        ("high: 3}", "high: 13}\n  max_tokens: 5",
         "mine.yaml:2: workload: max_tokens is drawn from output_tokens here"),
    ],
)  # fmt: skip
def test_impossible_lengths_are_refused(write, workspace, old: str, new: str, message: str) -> None:
    text = SYNTHETIC.replace(old, new, 1) if old else SYNTHETIC
    refusal = _refusal(write(text), workspace)
    assert f"scenarios/{message}" in refusal


TARGETS = """
targets:
  - name: local
    kind: llamacpp
    model: ./models/mine.gguf
  - name: team
    kind: url
    url: https://vllm.example/v1
    ca_bundle: certificates/team.pem
    api_key_env: TEAM_KEY
"""


def test_targets_are_found_by_name_with_paths_from_their_file(write, workspace) -> None:
    write(TARGETS, "targets.yaml")
    loaded = load_scenario(str(write(GOOD + "targets: [team, local]\n")), workspace)
    team, local = loaded.targets
    folder = workspace.root / "scenarios"
    assert isinstance(team, UrlTarget)
    assert isinstance(local, LlamaCppTarget)
    assert team.ca_bundle == folder / "certificates/team.pem"
    assert local.model == str(folder / "models/mine.gguf")
    assert loaded.scenario.targets == ["team", "local"]


def test_an_unknown_target_is_told_the_nearest_and_all_known_ones(write, workspace) -> None:
    write(TARGETS, "targets.yaml")
    message = _refusal(write(GOOD + "targets:\n  - local\n  - teem\n"), workspace)
    assert message.startswith(
        "scenarios/mine.yaml:11: targets[1]: there is no target 'teem', did you mean 'team'? "
        "— known: "
    )
    assert ", emulated-api, " in message and ", local, " in message


def test_a_target_may_be_written_in_the_scenario(write, workspace) -> None:
    inline = "targets:\n  - {name: mine, kind: llamacpp, parallel: 2, ca_bundle: a.pem}\n"
    (target,) = load_scenario(str(write(GOOD + inline)), workspace).targets
    assert isinstance(target, LlamaCppTarget)
    assert target.parallel == 2
    assert target.ca_bundle == workspace.root / "scenarios" / "a.pem"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("{name: a, kind: lamacpp}",
         "mine.yaml:10: targets[0].kind: 'lamacpp' is not allowed, did you mean 'llamacpp'? "
         "— allowed: llamacpp, vllm, url, api, emulated"),
        ("{name: a}", "mine.yaml:10: targets[0]: 'kind' is missing — one of api, emulated"),
        ("5", "mine.yaml:10: targets[0]: 5 is not text (put it in quotes)"),
        ("{name: a, kind: llamacpp, paralel: 2}",
         "mine.yaml:10: targets[0].paralel: unknown key 'paralel', did you mean 'parallel'?"),
        ("{name: a, kind: llamacpp, parallel: 500}",
         "mine.yaml:10: targets[0].parallel: 500 is out of range: at most 256"),
        ("{name: a, kind: llamacpp, rate: {usd_per_hour: 1}}",
         "mine.yaml:10: targets[0].rate.source: is missing"),
        ("{name: fake, kind: emulated}",
         "mine.yaml:10: targets[0].name: the name of an emulated target must contain 'emulated'"),
        ("{name: a, kind: vllm}",
         "mine.yaml:10: targets[0]: model is missing: what shall it serve?"),
        ("{name: a, kind: vllm, model: m, engine: vllm==1, executable: /bin/vllm}",
         "mine.yaml:10: targets[0]: give one of engine and executable, not both"),
        ("{name: a, kind: vllm, url: http://h/v1, dtype: float16}",
         "mine.yaml:10: targets[0]: dtype: with url nothing is started"),
        ("{name: a, kind: vllm, url: http://me:secret@h/v1}",
         "mine.yaml:10: targets[0].url: credentials are not allowed in a URL"),
        ("{name: a, kind: vllm, model: m, ask: [b]}",
         "mine.yaml:10: targets[0]: ask: b is neither an adapter"),
        ("{name: a, kind: vllm, model: m, flags: {--tensor-parallel-size: 2}}",
         "mine.yaml:10: targets[0].flags: must not set --tensor-parallel-size"),
        ("{name: a, kind: url, url: ftp://h/v1}",
         "mine.yaml:10: targets[0].url: 'ftp://h/v1' does not fit — begin it with http"),
        ("{name: a, kind: url, url: http://h/v1, max_rate: 5}",
         "mine.yaml:10: targets[0].max_rate: 5 is not a rate"),
        ("{name: a, kind: url, url: http://h/v1, price: unknwon, billing: tokens}",
         "mine.yaml:10: targets[0].price: 'unknwon' is not allowed, did you mean 'unknown'?"),
        ("{name: a, kind: url, url: http://h/v1, timeouts: {whole: 5 parsecs}}",
         "mine.yaml:10: targets[0].timeouts.whole: '5 parsecs' is not a duration"),
        ("{name: a, kind: url, url: http://h/v1, rate: {usd_per_hour: 1, source: s}, "
         "billing: tokens}", "mine.yaml:10: targets[0]: rate is for billing: hours"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_target_is_told_once(write, workspace, target: str, message: str) -> None:
    refusal = _refusal(write(f"{GOOD}targets:\n  - {target}\n"), workspace)
    assert refusal.startswith(f"scenarios/{message}")
    assert "\n" not in refusal


@pytest.mark.parametrize(
    "field",
    [
        "api_key: canary-4711",
        "api_key_env: sk-canary-4711",
        "headers: {Authorization: Bearer canary-4711}",
        "headers: {X-Key: [canary-4711]}",
        "query: {key: [canary-4711]}",
        "url: http://user:canary-4711@h/v1",
        "url: ftp://user:canary-4711@h/v1",
        "extra_body: canary-4711",
    ],
)
def test_a_refusal_never_repeats_a_secret(write, workspace, field: str) -> None:
    url = "" if field.startswith("url") else ", url: http://h/v1"
    message = _refusal(
        write(f"{GOOD}targets:\n  - {{name: a, kind: url{url}, {field}}}\n"), workspace
    )
    assert "mine.yaml:10: targets[0]." in message
    assert "canary" not in message


@pytest.mark.parametrize(
    "field", ["environment: canary-4711", "environment: {HF_TOKEN: canary-4711}"]
)
def test_a_refusal_never_repeats_an_engines_variable(write, workspace, field: str) -> None:
    target = f"{{name: a, kind: vllm, model: m, {field}}}"
    message = _refusal(write(f"{GOOD}targets:\n  - {target}\n"), workspace)
    assert "targets[0].environment" in message
    assert "canary" not in message


def test_a_refusal_never_repeats_a_probes_token(write, workspace) -> None:
    probe = "{name: p, url: http://h:9410, token_env: sk-canary-4711}"
    message = _refusal(write(f"{GOOD}telemetry: {{probes: [{probe}]}}\n"), workspace)
    assert "token_env" in message
    assert "canary" not in message


def test_targets_named_twice_are_refused(write, workspace) -> None:
    path = write(TARGETS.replace("name: team", "name: local"), "targets.yaml")
    with pytest.raises(
        BadInput, match=r"targets\.yaml:5: targets\[1\]\.name: 'local' is named twice"
    ):
        read_targets(path)
    assert "targets named twice: a" in _refusal(
        write(GOOD + "targets: [a, {name: a, kind: llamacpp}]\n"), workspace
    )


def test_a_mistake_in_targets_yaml_names_that_file(write, workspace) -> None:
    write(TARGETS.replace("kind: url", "kind: urls"), "targets.yaml")
    with pytest.raises(BadInput, match=r"^scenarios/targets\.yaml:6: targets\[1\]\.kind: 'urls'"):
        load_targets(workspace)


def test_a_persons_own_target_hides_a_shipped_one(write, workspace) -> None:
    write("targets: [{name: smollm2-llamacpp, kind: llamacpp, parallel: 1}]\n", "targets.yaml")
    own = load_targets(workspace)["smollm2-llamacpp"]
    assert isinstance(own, LlamaCppTarget)
    assert own.parallel == 1
    assert "emulated-api" in load_targets(workspace)


def test_a_target_is_picked_from_the_scenario_before_the_workspace(write, workspace) -> None:
    write(TARGETS, "targets.yaml")
    own = LlamaCppTarget(kind="llamacpp", name="team")
    assert pick_target("team", [own], workspace) is own
    assert pick_target("team", [], workspace).kind == "url"
    with pytest.raises(BadInput, match=r"there is no target 'tea', did you mean 'team'\?"):
        pick_target("tea", [], workspace)


def test_names_are_found_in_the_workspace_then_among_the_shipped(write, workspace) -> None:
    mine = write(GOOD.replace("name: mine", "name: quickstart"), "quickstart.yaml")
    assert load_scenario("quickstart", workspace).path == mine
    assert load_scenario("chat-steady", workspace).path.name == "chat-steady.yaml"
    with pytest.raises(BadInput, match=r"no scenario 'quikstart', did you mean 'quickstart'\?"):
        load_scenario("quikstart", workspace)
    with pytest.raises(BadInput, match=r"nowhere\.yaml: there is no such scenario file"):
        load_scenario("nowhere.yaml", workspace)


def test_a_file_that_cannot_be_read_does_not_break_the_list(write, workspace) -> None:
    write("name: [", "broken.yaml")
    write(GOOD)
    listed = {entry.name: entry for entry in list_scenarios(workspace)}
    assert listed["broken"].scenario is None
    assert "scenarios/broken.yaml:1: not YAML" in (listed["broken"].error or "")
    assert listed["mine"].error is None
    assert "targets" not in listed


def test_a_model_folder_counts_from_its_file_and_a_hub_id_stays(write, workspace) -> None:
    folder = workspace.root / "scenarios"
    (folder / "weights").mkdir(parents=True, exist_ok=True)
    inline = (
        "targets:\n  - {name: a, kind: vllm, model: weights, executable: ../venv/bin/vllm,"
        " adapters: [{name: l, path: ./lora}, {name: h, path: org/lora}]}\n"
        "  - {name: b, kind: vllm, model: org/name, executable: vllm}\n"
    )
    here, hub = load_scenario(str(write(GOOD + inline)), workspace).targets
    assert isinstance(here, VllmTarget) and isinstance(hub, VllmTarget)
    assert here.model == str(folder / "weights")
    assert here.executable == folder / "../venv/bin/vllm"
    assert [adapter.path for adapter in here.adapters] == [str(folder / "lora"), "org/lora"]
    assert (hub.model, hub.executable) == ("org/name", Path("vllm"))


PROBE = """
telemetry:
  probes:
    - {name: gpu1, url: "https://gpu1:9410", token_file: token.txt, ca_bundle: /etc/a.pem, subject: target}
"""


def test_a_probes_paths_count_from_the_scenarios_file(write, workspace) -> None:
    path = write(GOOD + PROBE)
    (probe,) = load_scenario(str(path), workspace).scenario.telemetry.probes
    assert probe.token_file == path.parent / "token.txt"
    assert probe.ca_bundle == Path("/etc/a.pem")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "https://gpu1:9410",
            "https://me:secret@gpu1:9410",
            "credentials are not allowed in a URL",
        ),
        ("https://gpu1:9410", "https://gpu1:9410?token=a", "the URL of a probe has no query"),
        (
            "token_file: token.txt",
            "token_file: a, token_env: B",
            "token_env or token_file, not both",
        ),
        ("subject: target", "gpus: [0]", "gpus and targets are for subject: target"),
        ("subject: target", "subject: target, gpus: [-1]", "a GPU's number is 0 or more"),
        ("subject: target", "subject: client", "subject"),
        ("name: gpu1", "name: engine", "name the probe otherwise"),
        ("name: gpu1", "name: 'gpu:1'", "name"),
        ("token_file: token.txt", "token: abc", "unknown key 'token'"),
    ],
)
def test_a_probe_that_cannot_be_is_refused(write, workspace, old, new, expected) -> None:
    refusal = _refusal(write(GOOD + PROBE.replace(old, new)), workspace)
    assert expected in refusal
    assert "secret" not in refusal


def test_two_probes_of_one_name_are_refused(write, workspace) -> None:
    twice = PROBE + PROBE.splitlines()[3] + "\n"
    assert "two of probes: have the same name" in _refusal(write(GOOD + twice), workspace)


def test_a_target_is_looked_up_beside_the_scenario_first(tmp_path: Path, workspace) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "targets.yaml").write_text(
        "targets: [{kind: url, name: mine-alone, url: 'http://127.0.0.1:9/v1'}]\n"
    )
    with pytest.raises(BadInput, match="there is no target 'mine-alone'"):
        pick_target("mine-alone", (), workspace)
    assert pick_target("mine-alone", (), workspace, elsewhere).name == "mine-alone"
    shipped = next(iter(load_targets(workspace)))
    assert pick_target(shipped, (), workspace, elsewhere).name == shipped
