"""Counters that were reset, where a sum over cores and ranks would hide it."""

import pytest

from observatory.core.sample import RESTARTED
from observatory.telemetry.scraping.exposition import read_page
from observatory.telemetry.sensors.engine_names import NAMES, of_target
from observatory.telemetry.sensors.engine_restarts import EVIDENCE, Restarts

TOKENS = "engine_output_tokens_total"


def _page(*cores: float | str, more: str = "", metric: str = "generation_tokens_total") -> str:
    return more + "".join(
        f'vllm:{metric}{{engine="{core}",model_name="m"}} {value}\n'
        for core, value in enumerate(cores)
    )


def _found(*pages: str) -> list[dict[str, str]]:
    restarts = Restarts()
    answers = []
    for page in pages:
        series = list(read_page(page, (NAMES | EVIDENCE).__contains__))
        read = of_target([one for one in series if one.name in NAMES], "m")
        answers.append(restarts.found(read, series))
    return answers


def test_counters_that_grow_are_whole() -> None:
    assert _found(_page(5, 5), _page(9, 7), _page(9, 7)) == [{}, {}, {}]


def test_a_core_that_was_restarted_is_found_although_the_sum_grew() -> None:
    first, second, third = _found(_page(100, 100), _page(900, 3), _page(950, 40))
    assert first == third == {}
    assert second == {TOKENS: f"{RESTARTED}vllm:generation_tokens_total went back from 100 to 3"}


def test_a_core_that_left_the_page_is_found() -> None:
    assert _found(_page(100, 100), _page(900))[1] == {
        TOKENS: f"{RESTARTED}a series of vllm:generation_tokens_total is gone"
    }


def test_a_core_that_comes_later_is_no_restart() -> None:
    assert _found(_page(100), _page(900, 3)) == [{}, {}]


def test_no_number_is_no_restart_and_the_one_after_it_goes_on() -> None:
    assert _found(_page(100, 5), _page(900, "NaN"), _page(950, 9)) == [{}, {}, {}]


@pytest.mark.parametrize(
    "began",
    [
        "process_start_time_seconds {}\n",
        'vllm:generation_tokens_created{{engine="0",model_name="m"}} {}\n',
    ],
)
def test_counting_that_began_later_is_a_restart_however_far_it_came(began: str) -> None:
    pages = [_page(100, more=began.format(at)) for at in ("1.7e9", "1.7e9")]
    pages.append(_page(5000, more=began.format("1.70001e9")))
    before, same, after = _found(*pages)
    assert before == same == {}
    assert list(after) == [TOKENS]
    assert after[TOKENS].startswith(RESTARTED)


def test_every_term_that_a_counter_enters_is_marked_and_gauges_never_are() -> None:
    def page(tokens: int, running: int) -> str:
        counted = _page(tokens, metric="prompt_tokens_total") + _page(7)
        return counted + _page(running, metric="num_requests_running")

    assert list(_found(page(50, 9), page(3, 1))[1]) == ["engine_prompt_tokens_total"]


def test_a_counter_that_was_away_for_a_reading_is_held_against_its_last_value() -> None:
    running = _page(1, metric="num_requests_running")
    assert _found(_page(100) + running, running, _page(4) + running)[2] == {
        TOKENS: f"{RESTARTED}vllm:generation_tokens_total went back from 100 to 4"
    }
