"""The JSON scorer: is it JSON, and which share of its fields is right."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.quality.json_fields import json_fields

EXPECTED = {"name": "Ana", "age": 31, "member": True, "tags": ["a", "b"]}

documents = st.dictionaries(
    st.text(max_size=6),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
        ),
        max_leaves=12,
    ),
    min_size=1,
    max_size=5,
)


@pytest.mark.parametrize(
    ("answer", "value", "note"),
    [
        ('{"name": "Ana", "age": 31, "member": true, "tags": ["a", "b"]}', 1.0, None),
        ('{"tags": ["b", "a"], "member": true, "age": 31.0, "name": " ANA "}', 1.0, None),
        (
            '```json\n{"name": "Ana", "age": 31, "member": true, "tags": ["a", "b"]}\n```',
            1.0,
            "wrapped",
        ),
        (
            'Sure! {"name": "Ana", "age": 31, "member": true, "tags": ["a", "b"]} Done.',
            1.0,
            "wrapped",
        ),
        (
            'From {this}: {"name": "Ana", "age": 31, "member": true, "tags": ["a", "b"]}',
            1.0,
            "wrapped",
        ),
        ('[{"name": "Ana", "age": 31, "member": true, "tags": ["a", "b"]}]', 1.0, "wrapped"),
        # 3 of 5 wanted, 4 given: 2 * 3 / 9
        ('{"name": "Ana", "age": 31, "tags": ["a", "c"]}', 6 / 9, None),
        # texts are no numbers, numbers no truth values
        ('{"name": "Ana", "age": "31", "member": 1, "tags": ["a", "b"]}', 6 / 10, None),
        # an invented field costs precision, an invented null nothing
        ('{"name": "Ana", "age": 31, "member": true, "tags": ["a", "b"], "x": 1}', 10 / 11, None),
        ('{"name": "Ana", "age": 31, "member": true, "tags": ["a", "b"], "x": null}', 1.0, None),
        ("{}", 0.0, None),
        ('{"name": "Ana", "age": 31', 0.0, "invalid_json"),
        ('{"name": "Ana", "age": NaN}', 0.0, "invalid_json"),
        ("{'name': 'Ana'}", 0.0, "invalid_json"),
        ("Ana is 31", 0.0, "invalid_json"),
        ("31", 0.0, "invalid_json"),
    ],
)
def test_known_answers(answer: str, value: float, note: str | None) -> None:
    score, stated = json_fields(EXPECTED, answer)
    assert score == pytest.approx(value)
    assert stated == note


def test_nulls_nested_objects_and_lists() -> None:
    expected = {"phone": None, "who": {"first": "A", "last": "B"}, "rows": [{"k": 1}, {"k": 2}]}
    right = {"who": {"last": "B", "first": "A"}, "rows": [{"k": 2}, {"k": 1}]}
    assert json_fields(expected, json.dumps(right)) == (1.0, None)
    invented = {**right, "phone": "555"}
    assert json_fields(expected, json.dumps(invented))[0] == pytest.approx(8 / 9)
    swapped = {"who": {"last": "A", "first": "B"}, "rows": [{"k": 1}, {"k": 2}]}
    assert json_fields(expected, json.dumps(swapped))[0] == pytest.approx(4 / 8)
    assert json_fields({"a": None}, "{}") == (1.0, None)


def test_an_empty_list_is_a_value_and_a_list_may_be_expected() -> None:
    assert json_fields({"a": []}, '{"a": []}') == (1.0, None)
    assert json_fields({"a": []}, '{"a": {}}') == (0.0, None)
    assert json_fields([1, 2], "Here: [2, 1]") == (1.0, "wrapped")


def test_a_reference_may_be_the_text_of_a_document() -> None:
    assert json_fields('{"a": 1}', '{"a": 1}') == (1.0, None)


@pytest.mark.parametrize("expected", ["text", {}, [], 5, "[]"])
def test_what_is_no_reference(expected: object) -> None:
    with pytest.raises(ValueError, match="object or a list"):
        json_fields(expected, "{}")


@given(documents)
def test_any_document_scores_one_against_itself(document: dict[str, object]) -> None:
    assert json_fields(document, json.dumps(document)) == (1.0, None)
    assert json_fields(document, f"```json\n{json.dumps(document, indent=1)}\n```") == (
        1.0,
        "wrapped",
    )


@given(documents, documents)
def test_the_score_is_symmetric_and_within_bounds(
    one: dict[str, object], other: dict[str, object]
) -> None:
    forth = json_fields(one, json.dumps(other))[0]
    assert 0.0 <= forth <= 1.0
    assert forth == pytest.approx(json_fields(other, json.dumps(one))[0])
