"""The emitted networks beside the same networks written by hand: torchvision's, with the same weights.

Both must first give the same outputs, loss and gradients. Then they take turns, as turns.py says. Of twenty rows one
misses by chance; so a row that does is measured once more, with twice as many fresh copies, and that counts.

On a CPU one thread runs, and its CPU time counts: what else runs on the machine hardly does. On CUDA the clock counts.
"""

from __future__ import annotations

import copy
import platform
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F  # noqa: N812
from torchvision_models import PAIRS, SPECS, by_hand, give_weights, in_our_order, torchvision
from turns import MARGIN, STUDENT, Load, measured

import cnnplan

if TYPE_CHECKING:
    from torch import nn

CPU = (Load(128, 1, turn=4), Load(64, 16, training=True))
"""In training 16 samples: on one thread, torch runs 1x1 convolutions of fewer by a kernel that training rarely sees."""

CUDA = (Load(224, 32, turn=10), Load(224, 32, turn=5, training=True))

FIXED = (Load(224, 1, turn=2), Load(224, 4, training=True))
"""Where dense layers fit one size only."""

LOADS = {name: FIXED if name == "alexnet" else CPU for name in PAIRS if name != "vgg16"}
"""VGG-16 is AlexNet again, at seconds a step."""

TOLERANCE = 1e-3
"""Of outputs, loss and gradients; rounding differs where the same sum is formed in another order."""


def difference(name: str, ours: nn.Module, theirs: nn.Module, size: int) -> float:
    """The largest difference of outputs, loss and gradients, on a CPU, of the largest number in their tensor."""
    x = torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(1))
    results = []
    for original, order in ((ours, None), (theirs, PAIRS[name].last)):
        net = copy.deepcopy(original)
        with torch.no_grad():
            outputs = net.eval()(x)
        torch.manual_seed(2)  # dropout
        loss = F.cross_entropy(net.train()(x), torch.arange(4))
        torch.autograd.backward(loss)
        gradients = {key: parameter.grad for key, parameter in net.named_parameters()}
        keys = list(gradients) if order is None else in_our_order(gradients, order)
        results.append([outputs, loss.detach(), *(gradients[key] for key in keys)])
    pairs = [(a.flatten(), b.flatten()) for a, b in zip(*results, strict=True)]
    return max(float((a - b).abs().max() / b.abs().max().clamp(min=1e-12)) for a, b in pairs)


def holds(name: str, device: str) -> bool:
    """Measure and print the rows of a network, and say whether ours is as fast in all."""
    loads = CUDA if device == "cuda" else LOADS[name]
    size, kept = loads[0].size, True
    ours = cnnplan.build(SPECS / f"{name}.yaml", input_size=size)
    theirs = by_hand(name)
    give_weights(name, ours, theirs)
    apart = difference(name, ours, theirs, size)
    assert apart < TOLERANCE, (name, apart)
    for load in loads:
        what = f"{name:<19}{'training' if load.training else 'inference':<10}{load.batch:>2}x{load.size:<4}"
        for blocks in STUDENT:
            row = measured(ours.to(device), theirs.to(device), load, device, blocks)
            verdict = "" if row.ratio.shows else "slower" if row.ratio.high < 1 else "unclear"
            null = f"{row.null.low:5.3f} … {row.null.high:5.3f}"
            print(f"{what}{row.ours:8.2f} {row.theirs:8.2f}  {row.ratio}  {null}  {apart:4.0e}  {verdict}", flush=True)
            if row.ratio.shows:
                break
        kept &= row.ratio.shows
    return kept


def main() -> None:
    """Every network, or those named."""
    torch.set_num_threads(1)
    names = sys.argv[1:] or list(LOADS)
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    missed: list[str] = []
    print(f"torch {torch.__version__}, torchvision {torchvision().__version__} on {platform.machine()}", flush=True)
    for device in devices:
        where = "one thread of a CPU" if device == "cpu" else torch.cuda.get_device_name()
        print(f"emitted networks beside torchvision's, ms a step on {where}")
        print(f"{'':37}{'ours':>8} {'theirs':>8}  {'theirs / ours, 95 %':<21}  {'null':<13}  differ", flush=True)
        missed += [f"{name} on {device}" for name in names if not holds(name, device)]
    subprocess.run([sys.executable, str(Path(__file__).with_name("building.py")), *sys.argv[1:]], check=True)
    if missed:
        sys.exit(f"slower than by hand, or not shown to be within {MARGIN:.0%} of it: {', '.join(missed)}")
    print(f"(claim: each is as fast as by hand: the interval reaches 1, and excludes {1 - MARGIN:.2f})")


if __name__ == "__main__":
    main()
