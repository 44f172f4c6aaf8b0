"""NVIDIA's DCGM exporter: what NVML does not report, above all how busy a GPU's processors really are.

Names and units are those of its documentation (docs.nvidia.com/datacenter/dcgm, "DCGM Exporter Metrics"
and "Field Identifiers"); a counter may bear OpenMetrics' _total.
"""

import http.client
import math
import socket
from dataclasses import dataclass, field
from typing import NamedTuple

from observatory.core.errors import ObservatoryError
from observatory.core.sample import Sample
from observatory.core.targets.addresses import is_loopback
from observatory.telemetry.scraping.exposition import ExposedSeries, read_page
from observatory.telemetry.scraping.scrape import Scrape, address_of
from observatory.telemetry.sensors.sensor import down, up

_MIB = 2**20
ELSEWHERE = "dcgm"
"""Precedes the devices of an exporter on another host, as a probe's name does; not that host's
name, which pages do not show."""


@dataclass(frozen=True, slots=True)
class Field:
    """Our metric, and what the exporter's number is multiplied with. of_gpu: of the whole GPU, also
    where the exporter repeats it for each of its MIG instances."""

    metric: str
    factor: float = 1.0
    of_gpu: bool = False


FIELDS: dict[str, Field] = {
    "DCGM_FI_PROF_SM_ACTIVE": Field("sm_active_fraction"),
    "DCGM_FI_PROF_SM_OCCUPANCY": Field("sm_occupancy_fraction"),
    "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": Field("tensor_active_fraction"),
    "DCGM_FI_PROF_DRAM_ACTIVE": Field("dram_active_fraction"),
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE": Field("gr_engine_active_fraction"),
    "DCGM_FI_PROF_PCIE_TX_BYTES": Field("gpu_pcie_sent_bytes_per_s", of_gpu=True),
    "DCGM_FI_PROF_PCIE_RX_BYTES": Field("gpu_pcie_received_bytes_per_s", of_gpu=True),
    "DCGM_FI_PROF_NVLINK_TX_BYTES": Field("gpu_nvlink_sent_bytes_per_s", of_gpu=True),
    "DCGM_FI_PROF_NVLINK_RX_BYTES": Field("gpu_nvlink_received_bytes_per_s", of_gpu=True),
    "DCGM_FI_DEV_POWER_USAGE": Field("gpu_power_w", of_gpu=True),
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": Field("gpu_energy_j", 1e-3, of_gpu=True),
    "DCGM_FI_DEV_GPU_UTIL": Field("gpu_util_fraction", 1e-2, of_gpu=True),
    "DCGM_FI_DEV_MEM_COPY_UTIL": Field("gpu_memory_util_fraction", 1e-2, of_gpu=True),
    "DCGM_FI_DEV_FB_USED": Field("gpu_memory_used_bytes", _MIB),
    "DCGM_FI_DEV_FB_TOTAL": Field("gpu_memory_total_bytes", _MIB),
    "DCGM_FI_DEV_GPU_TEMP": Field("gpu_temperature_c", of_gpu=True),
    "DCGM_FI_DEV_SM_CLOCK": Field("gpu_sm_clock_mhz", of_gpu=True),
    "DCGM_FI_DEV_MEM_CLOCK": Field("gpu_memory_clock_mhz", of_gpu=True),
    "DCGM_FI_DEV_CLOCKS_EVENT_REASONS": Field("gpu_throttle_bits", of_gpu=True),
    "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS": Field("gpu_throttle_bits", of_gpu=True),
}
"""The exporter's name -> ours. Fractions of cycles are 0 to 1 there, utilisation is in per cent, energy
in mJ, memory in MiB. Bytes over PCIe and NVLink are rates, of any Prometheus type that a site gives them."""

_BLANKS = (
    (140737488355328.0, 140737488355343.0),  # DCGM_FP64_BLANK and the 15 reasons above it
    (9.223372036854775e18, math.inf),  # DCGM_INT64_BLANK ...
    (2147483632.0, 2147483647.0),  # DCGM_INT32_BLANK ...
)


HOST_LABELS = (
    "exported_hostname",
    "hostname",
    "host",
    "node",
    "nodename",
    "kubernetes_node",
    "exported_instance",
    "instance",
)
"""Labels that name the host of a series: the exporter's own, then those that collectors add. The first
that a series has is used. A collector that has a label of that name renames the exporter's to exported_*.
Labels are in small letters here: releases and collectors spell them differently."""
CLUSTER_LABELS = ("cluster", "cluster_name", "k8s_cluster", "kubernetes_cluster")
POD_LABELS = ("exported_pod", "pod", "kubernetes_pod_name", "pod_name")
"""Of the exporter, where nothing else identifies a GPU; else of its users, and several use one."""


class Place(NamedTuple):
    """Where a GPU of some number is: number is 0 but for those that host and cluster do not distinguish."""

    host: str
    cluster: str
    number: int = 0


@dataclass(slots=True)
class Hosts:
    """Which host a GPU of the page is of: "" for this one, else dcgm, dcgm2 ... as they were first seen.

    local: the page is read by loopback. A page of one host is then this host's. Of several hosts it is the
    one whose name is this host's, if any. own: this host's name.
    """

    local: bool
    own: str = field(default_factory=socket.gethostname)
    _names: dict[Place, str] = field(default_factory=dict)
    _counts: dict[tuple[str, ...], int] = field(default_factory=dict)
    _places: dict[tuple[str, ...], Place] = field(default_factory=dict)

    def of(self, page: list[ExposedSeries]) -> list[str]:
        """Return the host of each series of a page, in its order.

        Two GPUs of one number and host name but of two UUIDs, or two PCI addresses, are of two hosts that the
        page does not name. A GPU stays where it was first seen: a host's name may be that of the exporter's
        pod, which changes.
        """
        places = [self._place(series) for series in page]
        several = len(set(places) | set(self._names)) > 1
        return [self._name(place, several=several) for place in places]

    def _place(self, series: ExposedSeries) -> Place:
        labels = _small(series)
        host, cluster, pod = (
            next((labels[label] for label in names if labels.get(label)), "")
            for names in (HOST_LABELS, CLUSTER_LABELS, POD_LABELS)
        )
        uuid, pci = labels.get("uuid", ""), labels.get("pci_bus_id", "")
        instance = labels.get("gpu_i_id")
        if instance and not uuid.upper().startswith("GPU-"):
            uuid = ""  # an instance's own is not of a GPU
        slot = (host, cluster, labels.get("gpu", ""))
        keys: list[tuple[str, ...]] = [(uuid,)] if uuid else []
        keys += [(*slot, pci)] if pci else []
        if not keys and not host and pod and not instance:
            keys = [(*slot, "pod", pod)]
        if not keys:
            return Place(host, cluster)
        if keys[0] not in self._places:
            number = self._counts[slot] = self._counts.get(slot, -1) + 1
            self._places[keys[0]] = Place(host, cluster, number)
        place = self._places[keys[0]]
        for key in keys[1:]:
            self._places.setdefault(key, place)
        return place

    def _name(self, place: Place, *, several: bool) -> str:
        mine = place.number == 0 and place.host.partition(".")[0] == self.own.partition(".")[0]
        if self.local and (mine or not several):
            return ""
        if place not in self._names:
            self._names[place] = ELSEWHERE + (str(len(self._names) + 1) if self._names else "")
        return self._names[place]


class DcgmSensor:
    """Every GPU on the exporter's page, as gpu0, gpu1 ...; MIG instances as gpu0/gi3.

    The number of an instance is its GPU instance id, the only one the exporter has: it is not the
    index by which NVML counts MIG devices (gpu0/mig1). An exporter that is not reached by loopback
    is taken for another host's, and its GPUs are dcgm:gpu0 and so on: its gpu0 is not ours. Those of a
    second host on the page are dcgm2:gpu0 and so on.
    """

    name = "dcgm"

    def __init__(self, url: str) -> None:
        self._url = url
        self._hosts = Hosts(is_loopback(address_of(url).host))
        self._scrape: Scrape | None = None

    def read(self, now: int) -> list[Sample]:
        """Return its samples; `up` = 0 with the reason where the page cannot be had or names no GPU."""
        try:
            self._scrape = self._scrape or Scrape(address_of(self._url), {})
            page = read_page(self._scrape.page(), lambda name: _field(name) is not None)
            found = gpu_samples(list(page), now, self._hosts)
        except (OSError, http.client.HTTPException, ValueError, ObservatoryError) as error:
            return [down(self.name, now, str(error) or type(error).__name__)]
        if not found:
            return [down(self.name, now, "the page has no field of a GPU")]
        return [up(self.name, now), *found]


def gpu_samples(page: list[ExposedSeries], now: int, hosts: Hosts | None = None) -> list[Sample]:
    """Return one sample a GPU (or MIG instance) and metric, in the page's order. hosts: None reads by loopback."""
    found: dict[tuple[str, str], Sample] = {}
    sources: dict[tuple[str, str], str] = {}
    hosts = hosts or Hosts(local=True)
    of_gpus = [series for series in page if _small(series).get("gpu", "").isdecimal()]
    for series, host in zip(of_gpus, hosts.of(of_gpus), strict=True):
        field, labels = _field(series.name), _small(series)
        if field is None:
            continue
        gpu, instance = labels["gpu"], labels.get("gpu_i_id")
        device = f"gpu{gpu}" if field.of_gpu or not instance else f"gpu{gpu}/gi{instance}"
        device = f"{host}:{device}" if host else device
        value, reason = _value(series.value, field)
        key = (device, field.metric)
        if key not in found:
            sources[key] = series.name
        elif sources[key] != series.name or found[key].value == value:
            continue
        elif any(labels.get(label) for label in ("uuid", "pci_bus_id", "gpu_i_id")):
            continue  # of one GPU for certain, though others of it have another value
        else:
            value, reason = None, f"several series of {device} differ and no label separates them"
        found[key] = Sample(now, "dcgm", "shared_host", device, field.metric, value, reason)
    return list(found.values())


def _value(number: float, field: Field) -> tuple[float | None, str | None]:
    if not math.isfinite(number):
        return None, f"the exporter has {number}"
    if any(low <= number <= high for low, high in _BLANKS):
        return None, "DCGM has no value (blank)"
    return number * field.factor, None


def _small(series: ExposedSeries) -> dict[str, str]:
    return {label.lower(): value for label, value in series.labels.items()}


def _field(name: str) -> Field | None:
    """Return the field by the exporter's name, or as a collector spells it (small letters, OpenMetrics' _total)."""
    named = name.upper()
    return FIELDS.get(named) or FIELDS.get(named.removesuffix("_TOTAL"))
