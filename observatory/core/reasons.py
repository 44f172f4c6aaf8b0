"""Why a figure is missing or doubtful: the codes that analysis and economics give, with their wording.

A reason that is no code is a sentence already: a sensor's error, or a gate of the energy's validity.
"""

REASONS: dict[str, str] = {
    "counter_restarted": "the engine's counter restarted in the window",
    "electricity_above_idle_not_known": "the electricity that requests took above the idle draw is not known",
    "electricity_not_known": "electricity is not in it: the energy is not known",
    "emulated": "a stand-in draws no energy of its own",
    "engine_does_not_say": "the engine does not report it",
    "failed_requests_without_usage": "failed requests may have been billed and are not in it",
    "failures": "failures reach it",
    "idle_of_other_scopes": "the idle baseline is of other parts of the machine",
    "no_characters": "no answer had any text",
    "no_energy": "no energy was drawn",
    "no_energy_sensor": "no sensor could tell the target's energy apart",
    "no_engine_page": "the target offers no page of its engine's metrics",
    "no_gpu_of_the_target": "no GPU is known to be the target's",
    "no_grid_intensity": "the grid's intensity is not known",
    "no_idle_baseline": "no idle baseline was measured",
    "no_price": "no price was given",
    "no_pue": "no PUE was stated",
    "no_requests": "no request counts",
    "no_scores": "no request had an expected answer",
    "no_sensor": "no sensor read it",
    "server_unknown": "the process that serves it on this machine is not known",
    "no_slo": "the scenario sets no objective",
    "no_spread": "the same all through the window",
    "no_successes": "no request succeeded",
    "no_tariff": "electricity is paid apart, and no tariff is stated",
    "no_tokens": "no token arrived",
    "no_window": "the stage never reached its steady window",
    "none_correct": "no answer was correct",
    "not_computed": "not computed for this run",
    "not_observed": "no request shows it",
    "not_streamed": "the answers did not come as a stream",
    "paid_by_the_hour": "paid by the hour: one more request costs nothing more",
    "sample_floor": "too few requests",
    "shared_out_by_characters": "tokens shared out by characters",
    "slo_not_met": "no stage met the objective",
    "token_counts_contradict": "token counts contradict the answers",
    "token_counts_missing": "token counts are missing",
    "tokens_unknown": "token counts are missing",
    "too_few_readings": "too few readings in the window",
    "undecided_left_out": "requests that could not be decided are left out",
}
"""By code."""


ENERGY_GATES = ("energy_window: ", "energy_gap: ", "energy_power: ", "energy_disagrees: ")
"""How a reason begins that withholds an energy figure (analysis.checks.energy_checks)."""


def reason_words(reason: str) -> str:
    """Return the wording of a code; of gates of the energy what follows their codes; a sentence as it is."""
    if reason.startswith(ENERGY_GATES):
        return "; ".join(part.partition(": ")[2] for part in reason.split("; "))
    return REASONS.get(reason, reason.replace("_", " ") if " " not in reason else reason)
