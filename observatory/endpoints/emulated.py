"""Opens an emulated target: the emulator as a child process on loopback.

It knows how to start it, not how it behaves.
"""

import os
import sys
import time
from importlib.metadata import version
from typing import Any

from observatory.core.emulation.profile import Profile
from observatory.core.targets.emulated import EmulatedTarget
from observatory.core.workspace import open_workspace
from observatory.emulator.emulator import EMULATED_MODEL, EmulatorConfig
from observatory.emulator.requests import EMULATOR, TOKENIZER
from observatory.endpoints.opened import (
    Address,
    OpenContext,
    OpenTarget,
    connect,
    facts_of,
    own_connection,
)
from observatory.endpoints.opener import Opener
from observatory.inputs.profile_files import load_profile
from observatory.processes.server_child import ServerChild

START_TIMEOUT_S = 30.0


def open_emulated(target: EmulatedTarget, context: OpenContext) -> OpenTarget:
    """Start the target's emulator and await it; TargetFailed where it does not come up."""
    context.log_folder.mkdir(parents=True, exist_ok=True)
    config_path = context.log_folder / f"emulator-{target.name}.json"
    profile = target.profile
    if isinstance(profile, str):
        profile = load_profile(profile, open_workspace().scenarios)
    config = EmulatorConfig(profile=profile, parent=os.getpid())
    config_path.write_text(config.model_dump_json(indent=2), encoding="utf-8")
    child = ServerChild(
        [sys.executable, "-m", "observatory.emulator.emulator", str(config_path)],
        context.log_folder / f"engine-{target.name}.log",
        f"the emulator of {target.name}",
    )
    try:
        ready = child.wait_ready(time.monotonic() + START_TIMEOUT_S)
        connection = connect(
            target,
            Address("http", ready["host"], ready["port"]),
            EMULATED_MODEL,
            wire=target.wire,
            transport=target.transport,
        )
        facts = facts_of(
            target,
            connection,
            tokenizer=TOKENIZER,
            engine=EMULATOR,
            engine_version=version("inference-observatory"),
            settings=_settings(profile),
        )
    except BaseException:
        child.close()
        raise
    return OpenTarget(connection, facts, child)


def _settings(profile: Profile) -> dict[str, Any]:
    """Return the profile in full, and in one sentence what it imitates where it does."""
    settings: dict[str, Any] = {"profile": profile.model_dump(mode="json")}
    if profile.imitates is not None:
        settings["imitates"] = profile.imitates.sentence()
    return settings


OPENER = Opener(open_emulated, lambda target: own_connection(target, target.wire))
