"""Ten networks profiled: how fast they are, planned memory beside measured, and no layer above its roof.

    python benchmarks/profiles.py                            # on a CPU, one batch, small images
    python benchmarks/profiles.py --device cuda              # three batches, float32 and bfloat16, images as planned

The table is Markdown. The run fails where a layer's pass, in the median, takes less than its bound.
"""

import argparse
import itertools
import os
import platform
import sys
from pathlib import Path

import torch

import cnnplan
from cnnplan.render.numbers import seconds, size
from cnnplan.runtime.profiling.profile import Profile

ROOT = Path(__file__).parent.parent
NETWORKS = (
    "alexnet",
    "vgg16",
    "googlenet",
    "resnet18",
    "resnet50",
    "densenet",
    "mobilenet_v2",
    "shufflenet_v2",
    "efficientnet",
    "convnext",
)
CPU, CUDA = (((4,), ("float32",), 96), ((1, 32, 256), ("float32", "bfloat16"), None))
"""Batches, dtypes and the images' size."""
TITLES = (
    "network",
    "batch",
    "dtype",
    "inference/s",
    "training/s",
    "training step",
    "its bound",
    "planned peak",
    "measured",
)


def row(found: Profile) -> str:
    """One network."""
    plan, speed = found.plan, found.speed
    assert speed.inference
    assert speed.training
    rates = [f"{plan.batch / took.median:,.1f}" for took in (speed.inference, speed.training)]
    off = f"{100 * (found.peak / found.planned_peak - 1):+.2f} %" if found.peak != found.planned_peak else "same"
    cells = [plan.name, f"{plan.batch}", plan.conditions.dtype, *rates, seconds(speed.training.median)]
    return f"| {' | '.join([*cells, seconds(found.bounds[1]), size(found.planned_peak), off])} |"


def main() -> None:
    """Print the table, and how many rows stand under the roof."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--device", default="cpu")
    options.add_argument("--networks", nargs="*", default=NETWORKS)
    options.add_argument("--runs", type=int, default=None)
    asked = options.parse_args()
    batches, dtypes, image = CPU if asked.device == "cpu" else CUDA
    where = f"{platform.machine()}, {os.cpu_count()} cores" if asked.device == "cpu" else torch.cuda.get_device_name()
    images = f", images of {image}x{image}" if image else ""
    print(f"{where}, Python {platform.python_version()}, torch {torch.__version__}{images}\n")
    print(f"| {' | '.join(TITLES)} |\n| :-- | {' | '.join(['--:'] * (len(TITLES) - 1))} |", flush=True)
    rows = 0
    above: list[str] = []
    for name, dtype, batch in itertools.product(asked.networks, dtypes, batches):
        plan = cnnplan.plan(
            ROOT / "specs" / f"{name}.yaml", input_size=image, batch=batch, dtype=dtype, optimizer="momentum"
        )
        try:
            found = cnnplan.profile(plan, device=asked.device, runs=asked.runs, seconds=1.0)
        except cnnplan.UsageError as error:
            print(f"| {name} | {batch} | {dtype} | {error} |", flush=True)
            continue
        print(row(found), flush=True)
        rows += sum(1 + (one.backward is not None) for one in found.layers)
        above += [f"{name}, batch {batch}, {dtype}: {one.layer.name}" for one in found.too_fast]
    print(f"\n{rows:,} passes of layers, {len(above)} of them faster than their bound")
    if above:
        sys.exit("\n".join(above))


if __name__ == "__main__":
    main()
