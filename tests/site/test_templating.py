"""Templates escape; JSON in a page cannot leave its element."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from observatory.core.workspace import shipped
from observatory.site.templating import page_environment, script_json

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(values)
def test_json_in_a_script_reads_back_and_cannot_close_it(value: object) -> None:
    text = str(script_json(value))
    assert "<" not in text
    assert ">" not in text
    assert json.loads(text) == value


def test_a_script_that_is_closed_in_the_data_stays_data() -> None:
    text = str(script_json({"x": "</script><script>alert(1)</script>&\u2028"}))
    assert "script>" not in text
    assert json.loads(text)["x"].startswith("</script>")


def test_what_is_not_finite_becomes_null() -> None:
    assert str(script_json([float("inf"), float("nan"), 0.1 + 0.2])) == "[null,null,0.3]"


def test_templates_escape_what_they_are_given() -> None:
    environment = page_environment(shipped("site"))
    shown = environment.from_string("{{ name }}").render(name="<b onclick='x'>&")
    assert shown == "&lt;b onclick=&#39;x&#39;&gt;&amp;"


def test_no_template_has_inline_code_or_style() -> None:
    for template in sorted(Path(shipped("site") / "templates").glob("*.html")):
        text = template.read_text(encoding="utf-8")
        assert " style=" not in text, template.name
        assert " onclick=" not in text, template.name
        assert "<style" not in text, template.name
        assert "|safe" not in text, template.name
        assert "http://" not in text and "https://" not in text, template.name
