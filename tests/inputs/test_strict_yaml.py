"""The strict part of YAML: values as JSON would have them, lines, and refusals that name one."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.core.errors import BadInput
from observatory.inputs.strict_yaml import parse_yaml, read_yaml

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    # JSON's texts may hold control characters that YAML's may not.
    | st.text(
        st.characters(
            exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff\u2028\u2029"
        )
    ),
    lambda parts: (
        st.lists(parts, max_size=4)
        | st.dictionaries(st.text("abcxyz_-", min_size=1), parts, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON_VALUES)
def test_json_is_read_as_itself(value: object) -> None:
    assert parse_yaml(json.dumps(value, ensure_ascii=False), "f").value == value


def test_only_true_and_false_are_booleans_and_times_are_text() -> None:
    text = "[true, False, yes, no, on, off, 1:30, 2026-01-01, 010, 1_000, 0x1F, ~, 1e3, .5]"
    assert parse_yaml(text, "f").value == [
        *(True, False, "yes", "no", "on", "off", "1:30", "2026-01-01"),
        *(10, "1_000", "0x1F", None, 1000.0, 0.5),
    ]


def test_every_part_knows_its_line() -> None:
    document = parse_yaml("# c\na:\n  b: 1\n  list:\n    - x\n    - {y: 2}\n", "f")
    assert document.lines[("a",)] == 2
    assert document.lines[("a", "b")] == 3
    assert document.lines[("a", "list", 1)] == 6
    assert document.lines[("a", "list", 1, "y")] == 6
    assert document.line_of(("a", "missing", "deeper")) == 2


def test_an_alias_stands_for_its_anchor() -> None:
    assert parse_yaml("a: &x {b: 1}\nc: *x\n", "f").value == {"a": {"b": 1}, "c": {"b": 1}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f:1: the file is empty"),
        ("# only a comment\n", "f:1: the file is empty"),
        ("a: 1\nb: 2\na: 3\n", "f:3: 'a' is written twice, first in line 1"),
        ("a:\n  b: 1\n\tc: 2\n", "f:3: not YAML: found character '\\t'"),
        ("a: b: c\n", "f:1: not YAML: mapping values are not allowed here"),
        ("a: [1, 2\nb: 3\n", "f:2: not YAML"),
        ("a: 1\n---\nb: 2\n", "f:2: not YAML"),
        ("a: 'x\n", "f:2: not YAML: found unexpected end of stream"),
        ("a: !!python/object:os.system {}\n", "f:1: the tag"),
        ("a: !secret x\n", "f:1: the tag '!secret' is not read"),
        ("a: !!timestamp 2026-01-01\n", "f:1: the tag"),
        ("a: !!int x\n", "f:1: 'x' is not a finite number"),
        ("x: 1\na: .inf\n", "f:2: '.inf' is not a finite number"),
        ("a: 9223372036854775808\n", "f:1: a whole number has more than 64 bits"),
        ("a: .nan\n", "f:1: '.nan' is not a finite number"),
        ("a: &x 1\nb:\n  <<: *x\n", "f:3: merge keys (<<) are not read"),
        ("1: a\n", "f:1: a key that is not text"),
        ("[a]: b\n", "f:1: a key that is not text"),
        ("a: &x\n  b: *x\n", "f:1: an alias to something that contains it"),
        ("a: *nothing\n", "f:1: not YAML: found undefined alias"),
        ("a: \x07\n", "f:1: not YAML: special characters are not allowed"),
        ('a: 1\nb: "\\ud800"\n', "f:2: half of a surrogate pair"),
        ("[" * 3000, "f:1: not YAML: nested too deep"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(text: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_yaml(text, "f")
    assert str(caught.value).startswith(message)


def test_a_small_file_cannot_unfold_into_gigabytes() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(BadInput, match="more than 100,000 values"):
        parse_yaml("\n".join(lines), "f")


def test_a_file_that_is_not_utf8_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"name: x\ndescription: caf\xe9\n")
    with pytest.raises(BadInput, match=r"latin\.yaml:2: is not UTF-8: byte 0xe9"):
        read_yaml(path)


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "windows.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: two\r\n")
    document = read_yaml(path)
    assert document.value == {"a": 1, "b": "two"}
    assert document.lines[("b",)] == 2


def test_a_folder_and_a_huge_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read: Is a directory"):
        read_yaml(tmp_path)
    path = tmp_path / "huge.yaml"
    path.write_bytes(b"#" * (2 << 20))
    with pytest.raises(BadInput, match=r"has 2,097,152 bytes; the most is 1,048,576"):
        read_yaml(path)
