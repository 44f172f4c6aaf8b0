"""A matrix expanded: every cell a target, every block a permutation, every bad level its line."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.core.errors import BadInput
from observatory.core.matrices.design import Design
from observatory.core.targets.emulated import EmulatedTarget
from observatory.core.targets.identity import NAME
from observatory.core.targets.llamacpp import LlamaCppTarget
from observatory.core.targets.vllm import VllmTarget
from observatory.core.workspace import Workspace
from observatory.inputs.confounding import confounding
from observatory.inputs.matrix import cell_name, turns_of
from observatory.inputs.scenario_files import load_scenario

HEAD = """\
name: m
workload: {kind: tasks, tasks: [support-tickets]}
arrivals: {kind: closed}
stages: [{concurrency: 1}]
matrix:
"""


@pytest.fixture
def load(tmp_path: Path) -> Any:
    (tmp_path / "scenarios").mkdir()
    workspace = Workspace(root=tmp_path, results=tmp_path / "results")

    def _load(matrix: str, **given: Any) -> Design:
        (tmp_path / "scenarios" / "m.yaml").write_text(HEAD + matrix)
        design = load_scenario("m", workspace, **given).design
        assert design is not None
        return design

    return _load


def refused(load: Any, matrix: str) -> str:
    with pytest.raises(BadInput) as caught:
        load(matrix)
    return str(caught.value)


def test_every_combination_is_a_cell_with_its_levels(load: Any) -> None:
    design = load("""\
  base: {kind: vllm, name: v, model: a/b, flags: {seed: 1}}
  vary:
    max_num_seqs: [1, 16]
    enable_prefix_caching: [true, false]
    flags.attention-backend: [TRITON, null]
  exclude:
    - {max_num_seqs: 1, enable_prefix_caching: false}
""")
    assert [cell.target.name for cell in design.cells] == [
        "v.mns-1.epc.triton",
        "v.mns-1.epc.ab-default",
        "v.mns-16.epc.triton",
        "v.mns-16.epc.ab-default",
        "v.mns-16.no-epc.triton",
        "v.mns-16.no-epc.ab-default",
    ]
    first, last = design.cells[0].target, design.cells[-1].target
    assert isinstance(first, VllmTarget)
    assert isinstance(last, VllmTarget)
    assert (first.max_num_seqs, first.enable_prefix_caching) == (1, True)
    assert first.flags == {"seed": 1, "attention-backend": "TRITON"}
    assert last.flags == {"seed": 1, "attention-backend": None}
    assert design.cells[0].factors == {
        "max_num_seqs": 1,
        "enable_prefix_caching": True,
        "flags.attention-backend": "TRITON",
    }
    assert (design.repeats, len(design.turns)) == (2, 12)
    assert design.confounded == (
        "max_num_seqs, enable_prefix_caching and flags.attention-backend were run in 6 of 8 "
        "combinations: each effect is known only if it does not depend on the other factors",
    )


def test_a_level_may_lie_deep_and_another_base_may_be_varied(load: Any) -> None:
    matrix = """\
  base: emulated-api
  repeats: 1
  vary:
    profile.ttft_median: [20ms, 40ms]
"""
    design = load(matrix)
    targets = [cell.target for cell in design.cells]
    assert [target.name for target in targets] == [
        "emulated-api.ttft-median-20ms",
        "emulated-api.ttft-median-40ms",
    ]
    assert all(isinstance(target, EmulatedTarget) for target in targets)
    assert [target.profile.ttft_median for target in targets] == [0.02, 0.04]
    with pytest.raises(BadInput, match="unknown key 'profile'"):
        load(matrix, base="smollm2-llamacpp")
    with pytest.raises(BadInput, match="--target: there is no target 'nobody'"):
        load(matrix, base="nobody")


def test_a_vllm_that_runs_already_can_be_varied_by_what_is_ours(load: Any) -> None:
    design = load("""\
  base: {kind: vllm, name: v, url: "http://h:8000/v1", model: m}
  vary:
    url: ["http://old:8000/v1", "http://new:8000/v1"]
""")
    assert [cell.factors for cell in design.cells] == [
        {"url": "http://old:8000/v1"},
        {"url": "http://new:8000/v1"},
    ]
    assert [cell.target.name for cell in design.cells] == [
        "v.http-old-8000-v1",
        "v.http-new-8000-v1",
    ]
    message = refused(
        load,
        """\
  base: {kind: vllm, name: v, url: "http://h:8000/v1", model: m}
  vary:
    max_num_seqs: [null, 8]
""",
    )
    assert "max_num_seqs: with url nothing is started" in message


def test_cells_name_other_targets_and_what_differs_is_found(load: Any) -> None:
    design = load("""\
  cells:
    - target: {kind: llamacpp, name: a, threads: 2}
      factors: {weight_format: GGUF Q4_1}
    - target: {kind: vllm, name: b, model: smollm2-bf16, dtype: bfloat16}
      factors: {weight_format: "bfloat16, dequantised from Q4_1"}
""")
    assert [cell.factors for cell in design.cells] == [
        {"engine": "llama.cpp", "weight_format": "GGUF Q4_1"},
        {"engine": "vLLM", "weight_format": "bfloat16, dequantised from Q4_1"},
    ]
    assert design.confounded == (
        "engine and weight_format change together: neither's effect is known",
    )


def test_cells_that_set_several_fields_are_confounded(load: Any) -> None:
    design = load("""\
  base: {kind: llamacpp, name: a}
  cells:
    - {set: {parallel: 1, threads: 1}}
    - {name: wide, set: {parallel: 8, threads: 2}}
""")
    assert [cell.target.name for cell in design.cells] == ["a.parallel-1.threads-1", "wide"]
    assert [cell.factors for cell in design.cells] == [
        {"parallel": 1, "threads": 1},
        {"parallel": 8, "threads": 2},
    ]
    assert design.confounded == ("parallel and threads change together: neither's effect is known",)


def test_a_field_that_one_cell_alone_sets_is_a_factor(load: Any) -> None:
    design = load("""\
  base: {kind: vllm, name: v, model: a/b}
  cells: [{}, {set: {flags.seed: 7}}]
""")
    assert [cell.factors for cell in design.cells] == [{"flags.seed": None}, {"flags.seed": 7}]
    assert design.confounded == ()


def test_a_files_relative_paths_count_from_it_in_levels_too(load: Any, tmp_path: Path) -> None:
    design = load("""\
  base: {kind: llamacpp, name: a}
  vary: {model: [q4.gguf, sub/q8.gguf]}
""")
    targets = [cell.target for cell in design.cells]
    assert all(isinstance(target, LlamaCppTarget) for target in targets)
    assert [target.model for target in targets] == [
        str(tmp_path / "scenarios" / "q4.gguf"),
        str(tmp_path / "scenarios" / "sub" / "q8.gguf"),
    ]
    assert [target.name for target in targets] == ["a.q4.gguf", "a.q8.gguf"]


BAD = {
    "  base: {kind: llamacpp, name: a}\n  vary:\n    parallel: [1, 4]\n    threads: [1, two]\n": (
        "m.yaml:9: matrix.vary.threads[1]: 'two' is not a whole number"
    ),
    "  base: {kind: llamacpp, name: a}\n  vary:\n    parallel: [1, 4]\n    thread: [1, 2]\n": (
        "m.yaml:9: matrix.vary.thread[0]: unknown key 'thread', did you mean 'threads'?"
    ),
    "  base: {kind: llamacpp, name: a}\n  vary:\n    parallel: [1]\n": (
        "m.yaml:8: matrix.vary.parallel: one level varies nothing: give two or more"
    ),
    "  base: {kind: llamacpp, name: a}\n  vary:\n    parallel: [1, 1]\n": (
        "m.yaml:8: matrix.vary.parallel: 1 is listed twice"
    ),
    "  base: {kind: llamacpp, name: a}\n  vary:\n    parallel: [4, 5]\n    gpu_layers: [0, -2]\n": (
        "m.yaml:9: matrix.vary.gpu_layers[1]: -2 is out of range: at least -1"
    ),
    "  base: {kind: llamacpp, name: a}\n  vary:\n    name: [b, c]\n": (
        "m.yaml:7: matrix.vary: name cannot be set: a cell's name is made from its levels"
    ),
    "  base: {kind: vllm, name: v, model: m}\n  vary:\n    flags.dtype: [x, y]\n": (
        "m.yaml:8: matrix.vary.flags.dtype[0] (flags): must not set dtype"
    ),
    "  base: nobody\n  vary: {parallel: [1, 2]}\n": (
        "m.yaml:6: matrix.base: there is no target 'nobody'"
    ),
    "  vary: {parallel: [1, 2]}\n": "m.yaml:5: matrix: vary needs base",
    "  base: emulated-api\n": "m.yaml:5: matrix: give vary (every combination) or cells",
    "  cells: [{target: emulated-api}, {set: {x: 1}}]\n": (
        "m.yaml:5: matrix: cells[1] names no target, and there is no base"
    ),
    "  base: emulated-api\n  vary: {price: [null, null]}\n": "None is listed twice",
    "  base: {kind: llamacpp, name: a}\n  cells:\n    - {set: {parallel: 4}}\n    - {name: b}\n": (
        "m.yaml:9: matrix.cells[1]: changes nothing: b is a.parallel-4 by another name"
    ),
    "  base: {kind: llamacpp, name: a}\n  vary:\n    port: [0, 1]\n    threads: [1, 2]\n"
    "  exclude: [{threads: 3}]\n": "m.yaml:5: matrix: exclude: 3 is no level of threads",
    "  base: {kind: llamacpp, name: a}\n  vary: {threads: [1, 2]}\n  exclude: [{threads: 1}]\n": (
        "one cell is left, or none"
    ),
    "  base: {kind: llamacpp, name: a}\n  vary: {threads: [1, 2]}\n  repeats: 1000\n": (
        "2 cells x 1,000 repeats; at most 1,024 runs"
    ),
    "  base: {kind: llamacpp, name: a}\n  vary: {threads.x: [1, 2]}\n": (
        "matrix.vary.threads.x[0] (threads): a mapping is not a whole number"
    ),
    "  base: {kind: llamacpp, name: a}\n  vary: {model.x: [1, 2]}\n": (
        "m.yaml:7: matrix.vary.model.x[0]: model of this target holds no fields of its own"
    ),
}


@pytest.mark.parametrize("matrix", BAD, ids=range(len(BAD)))
def test_what_cannot_be_is_told_with_its_line(load: Any, matrix: str) -> None:
    assert BAD[matrix] in refused(load, matrix)


def test_targets_and_matrix_are_not_both(load: Any) -> None:
    message = refused(load, "  base: emulated-api\n  vary: {profile.seed: [1, 2]}\ntargets: [x]\n")
    assert "targets and matrix: the cells of a matrix are its targets" in message


@given(st.integers(1, 9), st.integers(1, 5), st.integers(0, 2**63 - 1), st.booleans())
def test_each_block_holds_every_cell_once_and_the_seed_decides(
    cells: int, repeats: int, seed: int, together: bool
) -> None:
    turns = list(turns_of(cells, repeats, seed, together=together))
    for block in range(repeats):
        order = [cell for turn in turns if turn.block == block for cell in turn.cells]
        assert sorted(order) == list(range(cells))
    assert [turn.block for turn in turns] == sorted(turn.block for turn in turns)
    assert turns == list(turns_of(cells, repeats, seed, together=together))
    assert all(len(turn.cells) == (cells if together else 1) for turn in turns)


def test_orders_differ_between_blocks_and_seeds_unless_as_written() -> None:
    drawn = {
        (seed, block): tuple(
            cell
            for turn in turns_of(6, 4, seed, together=False)
            if turn.block == block
            for cell in turn.cells
        )
        for seed in (1, 2)
        for block in range(4)
    }
    assert len(set(drawn.values())) > 4
    written = [turn.cells for turn in turns_of(3, 2, None, together=False)]
    assert written == [(0,), (1,), (2,)] * 2


levels = st.one_of(st.integers(), st.booleans(), st.none(), st.text(max_size=80))


@given(
    st.from_regex(NAME, fullmatch=True),
    st.dictionaries(st.from_regex(r"[a-z_]{1,30}(\.[a-z-]{1,30})?", fullmatch=True), levels),
)
def test_a_cells_name_is_a_name(target: str, chosen: dict[str, Any]) -> None:
    import re

    for shorten in (False, True):
        name = cell_name(target, chosen, shorten=shorten)
        assert re.match(NAME, name), name


FULL = [{"a": a, "b": b} for a in (1, 2) for b in ("x", "y", "z")]
KNOWN: list[tuple[list[dict[str, Any]], list[str]]] = [
    ([{"a": 1}, {"a": 2}, {"a": 3}], []),
    (FULL, []),
    (FULL + FULL, []),
    ([{"a": 1, "b": 1}], []),
    (
        [{"a": 1, "b": 1}, {"a": 2, "b": 2}],
        ["a and b change together: neither's effect is known"],
    ),
    (
        [{"a": 1, "b": 1, "c": 1}, {"a": 2, "b": 2, "c": 2}],
        ["a, b and c change together: no single one's effect is known"],
    ),
    (  # b goes with a; c is crossed with both
        [{"a": n, "b": n, "c": c} for n in (1, 2) for c in (1, 2)],
        ["a and b change together: neither's effect is known"],
    ),
    (  # a level of a is split by b: their effects cannot be separated
        [{"a": 1, "b": 1}, {"a": 2, "b": 2}, {"a": 2, "b": 3}],
        ["a and b change together: neither's effect is known"],
    ),
    (  # one factor at a time: both effects are known, their interaction is not
        [{"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 1, "b": 2}],
        [
            "a and b were run in 3 of 4 combinations: each effect is known only if it does not "
            "depend on the other factors"
        ],
    ),
    (  # two pairs
        [{"a": n, "b": n, "c": m, "d": m} for n in (1, 2) for m in (1, 2)],
        [
            "a and b change together: neither's effect is known",
            "c and d change together: neither's effect is known",
        ],
    ),
    (  # a factor that a cell lacks is a level of its own
        [{"a": 1, "b": 1}, {"a": 2}],
        ["a and b change together: neither's effect is known"],
    ),
    ([{"a": 1, "b": True}, {"a": 1, "b": 1}], []),
]


@pytest.mark.parametrize(("cells", "expected"), KNOWN, ids=range(len(KNOWN)))
def test_confounding_known_answers(cells: list[dict[str, Any]], expected: list[str]) -> None:
    assert confounding(cells) == expected


def test_three_factors_that_only_together_decide_each_other_are_told() -> None:
    """Each pair is free, all three are not: three cells hold a constant and two effects at most."""
    cells = [{"a": 0, "b": 0, "c": 0}, {"a": 1, "b": 0, "c": 1}, {"a": 0, "b": 1, "c": 1}]
    (sentence,) = confounding(cells)
    assert sentence == "a, b and c change together: no single one's effect is known"


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3).flatmap(
        lambda sizes: st.tuples(st.just(sizes), st.permutations(range(_product(sizes))))
    ),
    st.integers(1, 3),
)
def test_full_factorials_are_never_confounded(
    drawn: tuple[list[int], list[int]], repeats: int
) -> None:
    sizes, order = drawn
    cells = []
    for number in order:
        cell, left = {}, number
        for place, size in enumerate(sizes):
            left, cell[f"f{place}"] = divmod(left, size)
        cells.append(cell)
    assert confounding(cells * repeats) == []


def _product(sizes: list[int]) -> int:
    result = 1
    for size in sizes:
        result *= size
    return result
