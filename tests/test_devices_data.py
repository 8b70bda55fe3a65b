"""The figures of devices.yaml: their form, and against cores, clocks and buses."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any, NamedTuple

import pytest
import yaml  # noqa: TID251 - the file is held to plain YAML by a parser that is not ours

MIB = 1024**2

FORMATS = ("float32", "tf32", "float16", "bfloat16")
FIGURES = ("memory", "bandwidth", *FORMATS, "l2", "compute_capability")
FIELDS = ("name", *FIGURES, "sources")


class Chip(NamedTuple):
    """What a device is made of.

    Sources: multiprocessors, cores, boost clock, bus, memory clock and cache are what `deviceQuery` of
    NVIDIA's CUDA samples prints for the product, as published in GitHub thamada/gls, thamada/nvidia-smi,
    bottlerocket-os/bottlerocket#3873 and others, and agree with the whitepapers where there is one. The data rate
    is twice the memory clock, the Orin's the 6400 MT/s of LPDDR5 in its technical brief. What the tensor
    cores of a multiprocessor do in a clock: NVIDIA's whitepapers of Volta, Turing, GA100, GA102, Ada and
    Hopper; the Orin's are taken to be the GA100's, which its INT8 rate confirms. Hopper's tensor cores have a
    boost clock of their own, 1830 MHz: H100 whitepaper V1.04, table 3. Totals of nvidia-smi: GitHub
    NVIDIA/cuda-samples#311, modal-labs/modal-client#2797, noonghunna/club-3090#390, thamada/gls and others.

    Attributes:
        gb: the nominal size of the memory.
        total: MiB that nvidia-smi gives; the Orin has none and its nominal size.
        sms: multiprocessors.
        cores: FP32 cores of them all.
        mhz: boost clock.
        tensor_mhz: boost clock under tensor operations.
        tensor: FLOPs of a multiprocessor in a clock, float16 with float32 sums.
        bus: bits.
        rate: Gbit/s of a pin.
        l2: MiB.
        capability: CUDA's version of it.
    """

    gb: int
    total: int
    sms: int
    cores: int
    mhz: int
    tensor_mhz: int
    tensor: int
    bus: int
    rate: float
    l2: int
    capability: str


CHIPS = {
    "h200": Chip(141, 143771, 132, 16896, 1980, 1830, 4096, 6144, 6.402, 60, "9.0"),
    "h100": Chip(80, 81559, 132, 16896, 1980, 1830, 4096, 5120, 5.238, 50, "9.0"),
    "a100-80gb": Chip(80, 81920, 108, 6912, 1410, 1410, 2048, 5120, 3.186, 40, "8.0"),
    "a100-40gb": Chip(40, 40960, 108, 6912, 1410, 1410, 2048, 5120, 2.430, 40, "8.0"),
    "l4": Chip(24, 23034, 58, 7424, 2040, 2040, 1024, 192, 12.502, 48, "8.9"),
    "t4": Chip(16, 15360, 40, 2560, 1590, 1590, 1024, 256, 10.002, 4, "7.5"),
    "rtx4090": Chip(24, 24564, 128, 16384, 2520, 2520, 512, 384, 21.002, 72, "8.9"),
    "rtx3090": Chip(24, 24576, 82, 10496, 1695, 1695, 512, 384, 19.502, 6, "8.6"),
    "v100-32gb": Chip(32, 32768, 80, 5120, 1530, 1530, 1024, 4096, 1.754, 6, "7.0"),
    "v100-16gb": Chip(16, 16384, 80, 5120, 1530, 1530, 1024, 4096, 1.754, 6, "7.0"),
    "orin": Chip(64, 65536, 16, 2048, 1300, 1300, 2048, 256, 6.400, 4, "8.7"),
}

# NVIDIA gives 4.8 TB/s; at the clock that CUDA reports the bus would do 4.92
UNDERSTATED = {"h200": 0.025}

TEXT = (files("cnnplan") / "devices.yaml").read_text("utf-8")
DEVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)

each = pytest.mark.parametrize("key", CHIPS)


def test_the_devices_and_their_order() -> None:
    assert list(DEVICES) == list(CHIPS)


def test_the_file_is_plain_and_names_nothing_twice() -> None:
    assert TEXT.startswith("# ")
    assert "\t" not in TEXT
    assert not re.search(r"[&*]\w|<<:|!!", TEXT)
    assert re.findall(r"^([\w-]+):$", TEXT, re.MULTILINE) == list(CHIPS)
    assert re.findall(r"^  (\w+):", TEXT, re.MULTILINE) == [*FIELDS] * len(CHIPS)
    assert max(map(len, TEXT.splitlines())) <= 120


@each
def test_fields_and_types(key: str) -> None:
    device = DEVICES[key]
    assert tuple(device) == FIELDS
    assert device["name"].startswith("NVIDIA ")
    assert re.search(r"SXM\d|PCIe|module", device["name"])
    for field in FIGURES[:-1]:
        assert type(device[field]) is int or (device[field] is None and field in {"tf32", "bfloat16"}), field
        assert device[field] is None or device[field] > 0, field
    assert device["compute_capability"] == CHIPS[key].capability


@each
def test_figures_are_of_sane_size(key: str) -> None:
    device = DEVICES[key]
    assert 1e11 <= device["bandwidth"] <= 1e13
    assert all(1e12 <= device[field] <= 2e15 for field in FORMATS if device[field] is not None)
    assert device["l2"] < device["memory"] / 100
    assert 0.955 * CHIPS[key].total * MIB < device["memory"] < CHIPS[key].total * MIB
    assert f"{CHIPS[key].gb} GB" in device["name"]


@each
def test_formats_are_those_of_the_generation(key: str) -> None:
    device = DEVICES[key]
    new = float(device["compute_capability"]) >= 8.0
    assert (device["tf32"] is not None) is new
    assert (device["bfloat16"] is not None) is new
    assert device["float16"] >= device["float32"]
    if new:
        assert device["bfloat16"] == device["float16"]
        assert device["tf32"] >= device["float32"]


@each
def test_float32_is_two_operations_of_each_core_in_a_clock(key: str) -> None:
    chip = CHIPS[key]
    assert DEVICES[key]["float32"] == pytest.approx(2 * chip.cores * chip.mhz * 1e6, rel=0.01)


@each
def test_tensor_cores_do_what_their_multiprocessors_can(key: str) -> None:
    device, chip = DEVICES[key], CHIPS[key]
    peak = chip.sms * chip.tensor * chip.tensor_mhz * 1e6
    assert device["float16"] == pytest.approx(peak, rel=0.01)
    if device["tf32"] is not None:
        assert device["tf32"] == pytest.approx(peak / 2, rel=0.01)


@each
def test_bandwidth_is_the_width_of_the_bus_times_its_rate(key: str) -> None:
    chip = CHIPS[key]
    peak = chip.bus * chip.rate * 1e9 / 8
    assert DEVICES[key]["bandwidth"] == pytest.approx(peak, rel=UNDERSTATED.get(key, 0.02))


@each
def test_cache(key: str) -> None:
    assert DEVICES[key]["l2"] == CHIPS[key].l2 * MIB


@pytest.mark.parametrize(("one", "other"), [("h200", "h100"), ("a100-80gb", "a100-40gb"), ("v100-32gb", "v100-16gb")])
def test_cache_goes_with_the_bus_of_a_chip(one: str, other: str) -> None:
    # slices of the cache belong to memory controllers: where a board has more of them, it has more cache
    assert DEVICES[one]["l2"] * CHIPS[other].bus == DEVICES[other]["l2"] * CHIPS[one].bus


@each
def test_every_figure_has_a_source(key: str) -> None:
    named = set()
    for source in DEVICES[key]["sources"]:
        figures, separator, document = source.partition(": ")
        assert separator, source
        assert len(document) >= 10, source
        assert set(figures.split(", ")) <= set(FIGURES), source
        named.update(figures.split(", "))
    assert named == set(FIGURES)
