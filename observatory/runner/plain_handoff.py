"""Makes a hand-off for a locustfile that a person runs with plain `locust -f` and its web UI.

`python -m observatory.runner.plain_handoff --scenario S --url U --model M --out DIR --descriptor N` writes it
into the open file N, which no folder names: it holds the prompts' text. It is a process of its own, because
planning needs what Locust's processes must not load.
"""

import argparse
from pathlib import Path

import msgspec

from observatory.core.clock import new_anchor
from observatory.core.targets.url import UrlTarget
from observatory.core.workspace import open_workspace
from observatory.endpoints.catalogue import open_target
from observatory.endpoints.opened import OpenContext
from observatory.inputs.scenario_files import load_scenario
from observatory.load.handoff import Handoff, put_handoff
from observatory.workload.planning import make_plan


def main() -> None:
    """Plan the scenario's last measured stage for one URL and write the hand-off."""
    parser = argparse.ArgumentParser(prog="plain_handoff")
    parser.add_argument("--scenario", required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--model")
    parser.add_argument("--api-key-env")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--descriptor", type=int, required=True)
    parser.add_argument("--results", type=Path)
    arguments = parser.parse_args()
    workspace = open_workspace(arguments.results)
    loaded = load_scenario(arguments.scenario, workspace)
    plan = make_plan(loaded.scenario, loaded.path.parent)
    target = UrlTarget.model_validate(
        {
            "kind": "url",
            "name": "plain-locust",
            "url": arguments.url,
            "model": arguments.model,
            "api_key_env": arguments.api_key_env,
            "throttling": loaded.scenario.throttling,
        }
    )
    journal = arguments.out / "journal"
    journal.mkdir(parents=True, exist_ok=True)
    with open_target(
        target, OpenContext(log_folder=arguments.out, report=lambda text: None)
    ) as opened:
        handoff = Handoff(
            run_id=f"plain-{loaded.scenario.name}",
            target=target.name,
            anchor=new_anchor(),
            connection=opened.connection,
            request=plan.request,
            stream=plan.stream,
            cache=plan.cache,
            seed=plan.seed,
            items=plan.items,
            stage=msgspec.structs.replace(
                plan.stages[-1], kind="closed", offsets_ns=None, warmup_s=0.0
            ),
            journal=str(journal),
            store_text=loaded.scenario.store_text,
        )
        put_handoff(arguments.descriptor, handoff)


if __name__ == "__main__":
    main()
