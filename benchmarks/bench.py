"""`make bench`: what is claimed about speed and memory, measured in one run beside the peers.

Prints ratios. Whole processes run in turn (ours, theirs, ours, …), so that a machine that gets slower
meanwhile slows both; the medians are quoted.
"""

import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cnnplan

HERE = Path(__file__).parent
ROOT = HERE.parent
PEERS = ROOT / "build" / "peers"
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}
PINNED = {"torchinfo": "1.8.0", "torchvision": "0.28.0"}


def install_peers() -> None:
    """The tools we are compared with, in a folder of their own."""
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
    for name, version in PINNED.items():
        if not (PEERS / f"{name}-{version}.dist-info").is_dir():
            subprocess.run([*pip, "--upgrade", "--target", str(PEERS), f"{name}=={version}"], check=True)


def run(command: list[str]) -> tuple[float, float]:
    """Seconds and peak MiB of a whole process."""
    environment = {**os.environ, "PYTHONPATH": str(PEERS), "NO_COLOR": "1"}
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment, cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    took = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return took, usage.ru_maxrss / 1024


def pairs(ours: list[str], theirs: list[str], runs: int) -> tuple[list[float], list[float], float, float]:
    """Times of both, run in turn, and their peaks."""
    run(ours), run(theirs)
    a, b = zip(*((run(ours), run(theirs)) for _ in range(runs)), strict=True)
    return [t for t, _ in a], [t for t, _ in b], max(m for _, m in a), max(m for _, m in b)


def whole_process() -> None:
    """`cnnplan check specs/vgg16.yaml` beside torchinfo, and beside what its imports alone cost."""
    check = [sys.executable, "-m", "cnnplan", "check", "specs/vgg16.yaml"]
    ours, theirs, peak, their_peak = pairs(check, [sys.executable, str(HERE / "torchinfo_vgg16.py")], 7)
    a, b = statistics.median(ours), statistics.median(theirs)
    print(f"check vgg16          {a:6.3f} s  {peak:5.0f} MiB")
    print(f"torchinfo vgg16      {b:6.3f} s  {their_peak:5.0f} MiB    {b / a:5.1f} times slower   (claim: at least 8)")
    ours, floor, _, _ = pairs(check, [sys.executable, str(HERE / "floor.py")], 15)
    ratio = statistics.median(x / y for x, y in zip(ours, floor, strict=True))
    print(
        f"its imports alone    {statistics.median(floor):6.3f} s               "
        f"check is {ratio:4.2f} of it  (claim: at most 1.4)"
    )
    print(f"peak memory                     {peak:5.0f} MiB                          (claim: at most 60)")


def throughput(*, field: bool = False, memory: bool = False) -> float:
    """Plans of ResNet-50 a second in one process, new text each time; with receptive fields, with memory."""
    text = (ROOT / "specs" / "resnet50.yaml").read_text(encoding="utf-8")
    cnnplan.plan(text)
    rates = []
    for _ in range(5):
        count, start = 0, time.perf_counter()
        while (took := time.perf_counter() - start) < 1:
            plan = cnnplan.plan(f"{text}\n# {count}")
            assert (plan.parameters, plan.macs) == (25_557_032, 4_089_184_256)
            assert plan.layers[-1].output == (1000,)
            if field:
                assert plan.receptive_field
                assert plan.receptive_field.size == (427, 427)
            if memory:
                assert plan.training.saved_activations == sum(layer.saved_bytes for layer in plan.layers)
                assert plan.inference.peak < plan.training.peak
            count += 1
        rates.append(count / took)
    return statistics.median(rates)


def directory() -> None:
    """1,000 specs of one folder, all different, checked with all rules in one process."""
    specs = sorted((ROOT / "specs").glob("*.yaml"))
    with tempfile.TemporaryDirectory() as folder:
        for index in range(1_000):
            text = specs[index % len(specs)].read_text(encoding="utf-8")
            (Path(folder) / f"spec{index:04}.yaml").write_text(f"{text}\n# {index}\n", encoding="utf-8")
        command = [sys.executable, "-m", "cnnplan", "check", folder, "--isolated", "--format", "concise"]
        took, peak = min(run(command) for _ in range(3))
    print(
        f"check of 1,000 specs {1_000 / took:6.0f} a second, {peak:4.0f} MiB             (claim: at least 50 a second)"
    )


def spec_of(layers: int) -> str:
    """A residual network that expands to so many layers."""
    return f"""
cnnplan: 1
name: deep
input: [16, 32, 32]
blocks:
  unit:
    params: {{width: int}}
    layers:
      - add:
          body:
            - conv: {{out_channels: =width, kernel_size: 3, padding: 1}}
            - batchnorm
            - relu
          skip: []
layers:
  - unit: 16
    repeat: {layers // 4}
"""


def growth() -> None:
    """Time against the number of layers."""
    counts = (100, 300, 1_000, 3_000, 10_000)
    times = []
    for count in counts:
        best = math.inf
        for _ in range(5):
            start = time.perf_counter()
            plan = cnnplan.plan(spec_of(count))
            assert len(plan.layers) == count
            assert plan.macs
            assert not any(d.severity == "error" for d in plan.diagnostics)
            best = min(best, time.perf_counter() - start)
        times.append(best)
    xs, ys = [math.log(c) for c in counts], [math.log(t) for t in times]
    exponent, _ = statistics.linear_regression(xs, ys)
    print(f"plan of 10,000 layers {times[-1]:5.2f} s                              (claim: under 3 s)")
    print(f"growth               {exponent:6.2f} = exponent over 100 … 10,000 layers (linear = 1)")


def main() -> None:
    """Everything."""
    install_peers()
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(ROOT / "cnnplan")], check=True)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    whole_process()
    print(f"plans of resnet50    {throughput():6.0f} a second                       (claim: at least 150)")
    print(f"with receptive field {throughput(field=True):6.0f} a second                       (claim: at least 100)")
    everything = throughput(field=True, memory=True)
    print(f"and with memory      {everything:6.0f} a second                       (claim: at least 60)")
    directory()
    growth()
    print()
    subprocess.run([sys.executable, str(HERE / "layers.py")], check=True)
    failed = []
    for name in ("training", "profiles", "by_hand"):
        print(flush=True)
        done = subprocess.run([sys.executable, str(HERE / f"{name}.py")], check=False, env=ONE_THREAD)
        failed += [name] * (done.returncode != 0)
    if failed:
        sys.exit(f"not as claimed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
