"""Which device of CUDA's names is which of ours; a CPU's measured figures."""

import pytest
import torch

from cnnplan.runtime.places import place
from cnnplan.runtime.profiling import machine as module
from cnnplan.runtime.profiling.machine import machine, named

GB = 10**9


@pytest.mark.parametrize(
    ("name", "memory", "key"),
    [  # names and sizes as torch.cuda.get_device_properties gives them
        ("NVIDIA H200", 150_754 * 10**6, "h200"),
        ("NVIDIA H100 80GB HBM3", 85 * GB, "h100"),
        ("NVIDIA A100-SXM4-80GB", 85 * GB, "a100-80gb"),
        ("NVIDIA A100-SXM4-40GB", 42 * GB, "a100-40gb"),
        ("NVIDIA L4", int(23.6 * GB), "l4"),
        ("Tesla T4", int(15.8 * GB), "t4"),
        ("NVIDIA GeForce RTX 4090", int(25.4 * GB), "rtx4090"),
        ("Tesla V100-SXM2-16GB", int(16.9 * GB), "v100-16gb"),
        ("NVIDIA L40", 48 * GB, None),
        ("NVIDIA GH200 480GB", 102 * GB, None),
        ("NVIDIA A100-SXM4-80GB MIG 1g.10gb", 10 * GB, None),
    ],
)
def test_names_of_cuda(name: str, memory: int, key: str | None) -> None:
    found = named(name, memory)
    assert (found.key if found else None) == key


def test_a_cpu_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rates of one thread, times the threads; another number of threads is as before."""
    monkeypatch.setattr(module, "_products", lambda dtype, sizes: {"float32": 1e11, "bfloat16": 3e11}[dtype])
    monkeypatch.setattr(module, "_moved", lambda size: 1e10 + size)
    monkeypatch.setattr(module, "_cache", lambda: 1 << 20)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found = machine(place("cpu"), "bfloat16")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert (found.measured, found.threads) == (True, 2)
    device = found.device
    assert (device.float32, device.bfloat16, device.float16, device.tf32) == (2 * 10**11, 6 * 10**11, None, None)
    assert device.bandwidth == 2 * (10**10 + 4 * (1 << 20))
    assert device.l2 == 2 << 20


def test_rates_of_this_machine() -> None:
    """Between a calculator's and a supercomputer's: units are right."""
    assert 1e8 < module._products("float32", (256,)) < 1e14
    assert 1e8 < module._moved(1 << 20) < 1e13
    assert 1 << 16 <= module._cache() <= 1 << 30
    assert module._cpu_name()
