"""The scenario in a run's manifest: no secret that a person wrote by mistake."""

import json

from observatory.core.scenario import Scenario
from observatory.runner.members import shown_scenario


def test_a_page_that_is_scraped_is_shown_without_its_headers_values_and_query() -> None:
    scenario = Scenario.model_validate(
        {
            "name": "s",
            "workload": {"kind": "tasks", "tasks": ["support-tickets"]},
            "arrivals": {"kind": "closed"},
            "stages": [{"concurrency": 1}],
            "targets": [
                {"kind": "url", "name": "t", "url": "http://h/v1", "headers": {"X": "canary"}}
            ],
            "telemetry": {
                "dcgm": "http://h:9400/metrics?sign=canary",
                "prometheus": [
                    {
                        "name": "node",
                        "url": "http://h:9100/metrics?sign=canary",
                        "series": ["up"],
                        "headers": {"X-Team": "canary", "Authorization": "Bearer ${TOKEN}"},
                    }
                ],
            },
        }
    )
    shown = shown_scenario(scenario)
    assert "canary" not in json.dumps(shown)
    assert shown["telemetry"]["dcgm"] == "http://h:9400/metrics"
    [page] = shown["telemetry"]["prometheus"]
    assert (page["url"], page["series"]) == ("http://h:9100/metrics", ["up"])
    assert page["headers"] == ["Authorization", "X-Team"]
    assert shown["telemetry"]["interval"] == scenario.telemetry.model_dump(mode="json")["interval"]
