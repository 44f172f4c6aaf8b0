"""Series as a person writes them."""

import pytest

from observatory.core.series import selector


@pytest.mark.parametrize(
    ("text", "name", "wanted"),
    [("a", "a", {}), ('a{x="1"}', "a", {"x": "1"}), (' a:b { x="1", } ', "a:b", {"x": "1"})],
)
def test_a_selector(text: str, name: str, wanted: dict[str, str]) -> None:
    chosen = selector(text)
    assert (chosen.name, chosen.labels) == (name, wanted)
    assert chosen.fits(name, {"x": "1", "y": "2"})
    assert not chosen.fits(name + "_sum", {"x": "1"})
    assert chosen.fits(name, {"x": "2"}) is not bool(wanted)


@pytest.mark.parametrize(
    "text", ["", "1a", "a b", 'a{x=~"1"}', 'a{x="1"', '{"a"}', 'a{"b"}', "rate(a[1m])"]
)
def test_what_is_no_selector_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no series"):
        selector(text)
