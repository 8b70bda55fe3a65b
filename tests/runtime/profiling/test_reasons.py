"""Why a layer takes its time: one network of typical layers, on a device of round figures, by hand."""

import pytest

import cnnplan
from cnnplan.analyses.roofline import Pass
from cnnplan.devices import Device
from cnnplan.runtime.profiling.reasons import why

TEXT = """\
cnnplan: 1
name: reasons
input: [32, 64, 64]
layers:
  - conv: {out_channels: 64, kernel_size: 3, padding: 1}
  - depthwise_conv: {kernel_size: 3, padding: 1}
  - conv: {out_channels: 64, kernel_size: 64}
  - conv: {out_channels: 8, kernel_size: 1}
  - relu
  - flatten
  - linear: 10
"""
DEVICE = Device("cpu", "a device", 1 << 30, 10**10, 10**11, None, None, None, 1 << 20, (0, 0), ())


@pytest.mark.parametrize(
    ("layer", "work", "took", "waited", "said"),
    [
        (
            "conv1",  # 2 GFLOP in 0.1 s: 20 GFLOP/s of 100
            Pass(2 * 10**9, 10**6, 0.02, "compute"),
            0.1,
            0.0,
            "compute-bound: 20.00 GFLOP/s, 20.0 % of the peak",
        ),
        (
            "conv2",  # the map of one position
            Pass(10**7, 10**6, 1e-4, "compute"),
            0.1,
            0.0,
            "under-used: 100.00 MFLOP/s, 0.1 % of the peak; a map of 1 position",
        ),
        (
            "conv1",
            Pass(2 * 10**9, 10**6, 0.02, "compute"),
            1e-6,
            0.0,
            "launch-bound: the smallest operation takes 2.00 µs here",
        ),
        (
            "conv1",
            Pass(10, 10, 0.0, "compute"),
            1e-4,
            0.95,
            "launch-bound: the device waits while the CPU launches it, in 95.00 µs",
        ),
        (
            "depthwise_conv1",
            Pass(10**6, 10**6, 1e-5, "memory"),
            1e-3,
            0.0,
            "too narrow: 1 input channel in each of 64 groups; 16 at once are multiplied",
        ),
        (
            "conv3",
            Pass(10**6, 10**6, 1e-5, "memory"),
            1e-3,
            0.0,
            "too narrow: 8 output channels; 16 at once are multiplied",
        ),
        (
            "relu1",  # 4 MiB in 1 ms: 4.2 GB/s of 10
            Pass(1 << 18, 1 << 22, 3e-4, "memory"),
            1e-3,
            0.0,
            "memory-bound: 4.00 MiB at 4.2 GB/s, 41.9 % of the bandwidth; 0.062 FLOP for each byte",
        ),
        (
            "relu1",
            Pass(1 << 18, 1 << 22, 3e-4, "memory"),
            0.1,
            0.0,
            "under-used: 4.00 MiB at 0.04 GB/s, 0.4 % of the bandwidth; 0.062 FLOP for each byte",
        ),
        ("flatten1", Pass(0, 0, 0.0, ""), 1e-3, 0.0, "no work of its own: it gives its input, or a view of it"),
    ],
)
def test_reasons(layer: str, work: Pass, took: float, waited: float, said: str) -> None:
    plan = cnnplan.plan(TEXT)
    assert why(plan.layer(layer).node, work, "float32", took, DEVICE, 2e-6, waited) == said
