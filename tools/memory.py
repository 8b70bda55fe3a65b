"""Measures the memory of the zoo's networks beside what is planned, for the tables of docs/memory.md.

    python tools/memory.py                     every spec on the CPU at batch 2, 3 and 5, its own input size
    python tools/memory.py --cuda [SPEC…]      ten networks on the CUDA device at three batches, in float32 and bfloat16

A line of Markdown for each, as it is measured. On the CPU, what autograd keeps is what
`saved_tensors_hooks` sees, and peaks are counted storages; on CUDA they are the allocator's own statistics.
"""

import argparse
from pathlib import Path

import torch

import cnnplan
from cnnplan.analyses.fit import Place, need
from cnnplan.planning import Plan
from cnnplan.runtime.build import build
from cnnplan.runtime.measure import on_cuda, step_and_inference
from cnnplan.runtime.memory import planned, saved_bytes

SPECS = Path(__file__).resolve().parent.parent / "specs"
TEN = (
    *("alexnet", "vgg16", "resnet50", "resnext50", "densenet"),
    *("googlenet", "inception_v3", "mobilenet_v2", "squeezenet1_0", "unet"),
)


def off(wanted: int, found: int) -> str:
    """How far the plan is off."""
    return "exact" if wanted == found else f"{100 * (wanted - found) / found:+.2f} %"


def on_this_cpu(plan: Plan, batch: int) -> str:
    """A row: bytes kept, peaks, and how far the plan is off each."""
    memory = planned(plan, batch)
    model = build(plan.graph).train()
    inputs = [torch.randn(batch, *v.shape) for v in plan.graph.inputs]
    kept = saved_bytes(model, inputs)
    training, inference = step_and_inference(memory, model, inputs)
    assert inference is not None
    cells = [f"{kept:,}", off(memory.training.saved_activations, kept)]
    cells += [f"{training:,}", off(memory.training.peak, training)]
    cells += [f"{inference:,}", off(memory.inference.peak, inference)]
    return f"| {plan.name} | {batch} | {' | '.join(cells)} |"


def on_this_device(spec: Path, batch: int, dtype: str) -> str:
    """A row: bytes allocated and reserved, and how far the plan is off each."""
    plan = cnnplan.plan(spec, batch=batch, dtype=dtype, optimizer="momentum", target="cuda")
    wanted, found = need(plan.memory, Place(1 << 62)), on_cuda(plan)
    assert found.reserved is not None
    cells = [
        f"{found.peak:,}",
        off(wanted.peak, found.peak),
        f"{found.reserved:,}",
        off(wanted.reserved, found.reserved),
    ]
    return f"| {plan.name} | {batch} | {dtype} | {' | '.join(cells)} |"


def main() -> None:
    """Print the rows."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cuda", action="store_true")
    options.add_argument("specs", nargs="*")
    given = options.parse_args()
    print(f"torch {torch.__version__}")
    names = given.specs or (TEN if given.cuda else sorted(path.stem for path in SPECS.glob("*.yaml")))
    for name in names:
        spec = SPECS / f"{name}.yaml"
        if given.cuda:
            for batch in (8, 32, 64):
                for dtype in ("float32", "bfloat16"):
                    print(on_this_device(spec, batch, dtype), flush=True)
        else:
            plan = cnnplan.plan(spec)
            for batch in (2, 3, 5):
                print(on_this_cpu(plan, batch), flush=True)


if __name__ == "__main__":
    main()
