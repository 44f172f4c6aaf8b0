"""The DCGM exporter's page as its documentation writes it: units, several GPUs, MIG, blanks, silence."""

import math
from collections.abc import Iterator

import pytest

from observatory.telemetry.scraping.exposition import ExposedSeries, read_page
from observatory.telemetry.sensors.dcgm import FIELDS, DcgmSensor, Hosts, gpu_samples
from tests.telemetry.served_page import serving

GPU0 = 'gpu="0",UUID="GPU-a",pci_bus_id="00000000:1B:00.0",device="nvidia0",modelName="NVIDIA H100",Hostname="n1"'
GPU1 = GPU0.replace('"0"', '"1"').replace("GPU-a", "GPU-b")
PAGE = f"""# HELP DCGM_FI_DEV_SM_CLOCK SM clock frequency (in MHz).
# TYPE DCGM_FI_DEV_SM_CLOCK gauge
DCGM_FI_DEV_SM_CLOCK{{{GPU0}}} 1980
DCGM_FI_DEV_MEM_CLOCK{{{GPU0}}} 2619
DCGM_FI_DEV_GPU_TEMP{{{GPU0}}} 61
DCGM_FI_DEV_POWER_USAGE{{{GPU0}}} 412.5
DCGM_FI_DEV_POWER_USAGE{{{GPU1}}} 71.0
DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{{GPU0}}} 2000000500
DCGM_FI_DEV_GPU_UTIL{{{GPU0}}} 97
DCGM_FI_DEV_MEM_COPY_UTIL{{{GPU0}}} 40
DCGM_FI_DEV_FB_USED{{{GPU0}}} 1024
DCGM_FI_DEV_FB_FREE{{{GPU0}}} 80000
DCGM_FI_DEV_XID_ERRORS{{{GPU0}}} 0
DCGM_FI_PROF_SM_ACTIVE{{{GPU0}}} 0.75
DCGM_FI_PROF_SM_OCCUPANCY{{{GPU0}}} 0.21
DCGM_FI_PROF_PIPE_TENSOR_ACTIVE{{{GPU0}}} 0.3
DCGM_FI_PROF_DRAM_ACTIVE{{{GPU0}}} 0.5
DCGM_FI_PROF_PCIE_TX_BYTES{{{GPU0}}} 1200000000
DCGM_FI_PROF_NVLINK_RX_BYTES{{{GPU0}}} 8000000000
"""


def told(page: str) -> dict[tuple[str, str], float | None]:
    return {(s.device, s.metric): s.value for s in gpu_samples(list(read_page(page)), 5)}


def test_units_are_ours() -> None:
    found = told(PAGE)
    assert found == {
        ("gpu0", "gpu_sm_clock_mhz"): 1980,
        ("gpu0", "gpu_memory_clock_mhz"): 2619,
        ("gpu0", "gpu_temperature_c"): 61,
        ("gpu0", "gpu_power_w"): 412.5,
        ("gpu1", "gpu_power_w"): 71,
        ("gpu0", "gpu_energy_j"): pytest.approx(2_000_000.5),
        ("gpu0", "gpu_util_fraction"): pytest.approx(0.97),
        ("gpu0", "gpu_memory_util_fraction"): pytest.approx(0.4),
        ("gpu0", "gpu_memory_used_bytes"): 2**30,
        ("gpu0", "sm_active_fraction"): 0.75,
        ("gpu0", "sm_occupancy_fraction"): 0.21,
        ("gpu0", "tensor_active_fraction"): 0.3,
        ("gpu0", "dram_active_fraction"): 0.5,
        ("gpu0", "gpu_pcie_sent_bytes_per_s"): 1.2e9,
        ("gpu0", "gpu_nvlink_received_bytes_per_s"): 8e9,
    }


def test_mig_instances_are_devices_and_what_is_of_the_whole_gpu_is_counted_once() -> None:
    def line(field: str, instance: str, value: float) -> str:
        return f'{field}{{{GPU0},GPU_I_PROFILE="3g.40gb",GPU_I_ID="{instance}"}} {value}\n'

    page = "".join(
        line("DCGM_FI_PROF_SM_ACTIVE", instance, value)
        + line("DCGM_FI_DEV_FB_USED", instance, 1)
        + line("DCGM_FI_DEV_POWER_USAGE", instance, 300)
        for instance, value in (("1", 0.5), ("2", 0.25))
    )
    assert told(page) == {
        ("gpu0/gi1", "sm_active_fraction"): 0.5,
        ("gpu0/gi1", "gpu_memory_used_bytes"): 2**20,
        ("gpu0", "gpu_power_w"): 300,
        ("gpu0/gi2", "sm_active_fraction"): 0.25,
        ("gpu0/gi2", "gpu_memory_used_bytes"): 2**20,
    }


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (9223372036854775794.0, "DCGM has no value (blank)"),
        (140737488355328.0, "DCGM has no value (blank)"),
        (2147483632.0, "DCGM has no value (blank)"),
        (math.nan, "the exporter has nan"),
    ],
)
def test_a_blank_is_no_temperature(value: float, reason: str) -> None:
    [sample] = gpu_samples([ExposedSeries("DCGM_FI_DEV_GPU_TEMP", {"gpu": "0"}, value)], 5)
    assert (sample.value, sample.reason) == (None, reason)


def test_counters_by_openmetrics_names_and_lines_without_a_gpu() -> None:
    page = (
        'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION_total{gpu="0"} 1000\n'
        'DCGM_FI_DEV_POWER_USAGE{nvswitch="0"} 1\nDCGM_FI_DEV_POWER_USAGE{gpu="x"} 1\n'
    )
    assert told(page) == {("gpu0", "gpu_energy_j"): 1.0}


def _power(value: float, **labels: str) -> str:
    pairs = ",".join(f'{label}="{told}"' for label, told in labels.items())
    return f"DCGM_FI_DEV_POWER_USAGE{{{pairs}}} {value}\n"


TWO_HOSTS = _power(250, gpu="0", UUID="GPU-a", Hostname="n1") + _power(
    650, gpu="0", UUID="GPU-b", Hostname="n2"
)


@pytest.mark.parametrize(
    ("page", "local", "own", "found"),
    [
        (TWO_HOSTS, False, "here", {"dcgm:gpu0": 250, "dcgm2:gpu0": 650}),
        (TWO_HOSTS, True, "here", {"dcgm:gpu0": 250, "dcgm2:gpu0": 650}),
        (TWO_HOSTS, True, "n2", {"dcgm:gpu0": 250, "gpu0": 650}),
        (TWO_HOSTS, True, "n2.lab.example", {"dcgm:gpu0": 250, "gpu0": 650}),
        (TWO_HOSTS, False, "n2", {"dcgm:gpu0": 250, "dcgm2:gpu0": 650}),
        # No host's name at all, or the same one, and two GPUs with one number.
        (
            _power(250, gpu="0", UUID="GPU-a") + _power(650, gpu="0", UUID="GPU-b"),
            False,
            "here",
            {"dcgm:gpu0": 250, "dcgm2:gpu0": 650},
        ),
        # Collectors name hosts in their own ways.
        (
            _power(250, gpu="0", instance="n1:9400") + _power(650, gpu="0", instance="n2:9400"),
            False,
            "here",
            {"dcgm:gpu0": 250, "dcgm2:gpu0": 650},
        ),
        # One host: shared by pods, each of which has the GPU's series.
        (
            _power(250, gpu="0", UUID="GPU-a", Hostname="n1", pod="x")
            + _power(250, gpu="0", UUID="GPU-a", Hostname="n1", pod="y"),
            True,
            "here",
            {"gpu0": 250},
        ),
        # A collector that has a label of the exporter's name renames the exporter's.
        (
            _power(250, gpu="0", exported_hostname="n1", hostname="prom")
            + _power(650, gpu="0", exported_hostname="n2", hostname="prom"),
            False,
            "here",
            {"dcgm:gpu0": 250, "dcgm2:gpu0": 650},
        ),
        # Two PCI addresses, clusters or exporters' pods: two GPUs.
        *(
            (_power(250, gpu="0", **one) + _power(650, gpu="0", **two), False, "here",
             {"dcgm:gpu0": 250, "dcgm2:gpu0": 650})
            for one, two in (
                ({"pci_bus_id": "0:07:00.0", "Hostname": "h"}, {"pci_bus_id": "0:0F:00.0", "Hostname": "h"}),
                ({"pci_bus_id": "0:07:00.0", "Hostname": "a"}, {"pci_bus_id": "0:07:00.0", "Hostname": "b"}),
                ({"pci_bus_id": "0:07:00.0", "UUID": "GPU-a"}, {"pci_bus_id": "0:07:00.0", "UUID": "GPU-b"}),
                ({"Hostname": "h", "cluster": "a"}, {"Hostname": "h", "cluster": "b"}),
                ({"pod": "dcgm-a"}, {"pod": "dcgm-b"}),
            )
        ),
        # One GPU by its address, used by several pods.
        (
            _power(250, gpu="0", pci_bus_id="0:07:00.0", pod="x")
            + _power(250, gpu="0", pci_bus_id="0:07:00.0", pod="y"),
            True,
            "here",
            {"gpu0": 250},
        ),
        # An instance's series in addition to the GPU's own.
        (
            _power(250, gpu="0", UUID="GPU-a", pci_bus_id="0:07:00.0", Hostname="h")
            + _power(251, gpu="0", UUID="MIG-b", pci_bus_id="0:07:00.0", Hostname="h", GPU_I_ID="2"),
            True,
            "here",
            {"gpu0": 250},
        ),
        # MIG instances with identifiers of their own are no other GPUs.
        (
            _power(250, gpu="0", UUID="MIG-a", GPU_I_ID="1") + _power(250, gpu="0", UUID="MIG-b", GPU_I_ID="2"),
            True,
            "here",
            {"gpu0": 250},
        ),
    ],
)  # fmt: skip
def test_two_hosts_on_one_page_are_two(
    page: str, local: bool, own: str, found: dict[str, float]
) -> None:
    samples = gpu_samples(list(read_page(page)), 5, Hosts(local, own))
    assert {sample.device: sample.value for sample in samples} == found


def test_two_gpus_that_no_label_tells_apart_are_null_and_never_one_of_them() -> None:
    page = _power(300, gpu="0", job="a") + _power(500, gpu="0", job="b")
    [sample] = gpu_samples(list(read_page(page)), 5)
    assert (sample.device, sample.value) == ("gpu0", None)
    assert sample.reason == "several series of gpu0 differ and no label separates them"
    [sample] = gpu_samples(list(read_page(page.replace("500", "300"))), 5)
    assert sample.value == 300


def test_collectors_that_spell_labels_and_names_in_small_letters() -> None:
    """dcgm-exporter pull request 655 (hostname), issue 577 (a collector's small letters)."""
    page = (
        'dcgm_fi_dev_power_usage{gpu="0",uuid="GPU-a",hostname="n1"} 250\n'
        'dcgm_fi_dev_power_usage{gpu="0",uuid="gpu-b",hostname="n2"} 650\n'
        'dcgm_fi_prof_sm_active{gpu="0",gpu_i_id="12",uuid="GPU-a",hostname="n1"} 0.5\n'
        'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION_total{gpu="0",uuid="GPU-a",hostname="n1"} 1000\n'
    )
    samples = gpu_samples(list(read_page(page)), 5, Hosts(False, "here"))
    assert {(s.device, s.metric): s.value for s in samples} == {
        ("dcgm:gpu0", "gpu_power_w"): 250,
        ("dcgm2:gpu0", "gpu_power_w"): 650,
        ("dcgm:gpu0/gi12", "sm_active_fraction"): 0.5,
        ("dcgm:gpu0", "gpu_energy_j"): 1.0,
    }


def test_a_gpu_stays_where_it_was_when_the_exporters_pod_is_another() -> None:
    """dcgm-exporter pull request 129: the host's name is the pod's."""
    hosts = Hosts(local=False, own="here")
    for pod in ("exporter-cwbcm", "exporter-x2v4k"):
        page = _power(250, gpu="0", UUID="GPU-a", Hostname=pod)
        [sample] = gpu_samples(list(read_page(page)), 5, hosts)
        assert sample.device == "dcgm:gpu0"


def test_a_host_keeps_its_name_when_another_leaves_the_page() -> None:
    hosts = Hosts(local=False, own="here")
    first, second = TWO_HOSTS.splitlines(keepends=True)
    for page, devices in (
        (TWO_HOSTS, ["dcgm:gpu0", "dcgm2:gpu0"]),
        (second, ["dcgm2:gpu0"]),
        (second + first, ["dcgm2:gpu0", "dcgm:gpu0"]),
    ):
        assert [s.device for s in gpu_samples(list(read_page(page)), 5, hosts)] == devices


def test_every_field_has_a_unit_in_its_name() -> None:
    endings = ("_fraction", "_w", "_j", "_bytes", "_bytes_per_s", "_c", "_mhz", "_bits")
    assert all(field.metric.endswith(endings) for field in FIELDS.values())


def test_an_exporter_that_goes_and_comes_back() -> None:
    answers: Iterator[tuple[int, str, str]] = iter(
        [
            (200, "text/plain", PAGE),
            (500, "text/plain", "no"),
            (200, "text/plain", "go_info 1\n"),
            (200, "text/plain", PAGE),
        ]
    )
    with serving(lambda: next(answers)) as served:
        sensor = DcgmSensor(served.url)
        first, [gone], [empty], back = (sensor.read(at) for at in range(4))
    assert (first[0].metric, first[0].value, first[0].subject) == ("up", 1.0, "shared_host")
    assert (gone.value, gone.reason) == (0.0, "HTTP 500, text/plain")
    assert (empty.value, empty.reason) == (0.0, "the page has no field of a GPU")
    assert [s.value for s in back] == [s.value for s in first]


def test_an_exporter_that_is_not_there_is_down_each_time() -> None:
    sensor = DcgmSensor("http://127.0.0.1:9/metrics")
    assert [sensor.read(at)[0].value for at in range(2)] == [0.0, 0.0]


def test_an_exporter_elsewhere_tells_of_no_gpu_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for url, device in (
        ("http://localhost:9400/metrics", "gpu0"),
        ("http://127.0.0.1:9400/metrics", "gpu0"),
        ("http://10.0.0.5:9400/metrics", "dcgm:gpu0"),
        ("https://engine:9400/metrics", "dcgm:gpu0"),
    ):
        sensor = DcgmSensor(url)
        monkeypatch.setattr("observatory.telemetry.sensors.dcgm.Scrape.page", lambda _: PAGE)
        assert sensor.read(5)[1].device == device
