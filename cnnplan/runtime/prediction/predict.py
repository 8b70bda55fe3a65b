"""What a trained network says of samples: `cnnplan predict`.

predictor = Predictor(plan, "model.safetensors", "cpu")
for found in predictor(listed(["photos"], plan).read, batch=32): found.path, found.pairs

The network is in evaluation, in full float32. Samples go in as in training (`training.prepare`), with the mean and
deviation that are beside the weights. On a CPU they go through one by one, so that a batch cannot change a bit: 32
samples on one thread took 2.9 s instead of 5.4 s as a batch with ResNet-50, 1.1 s instead of 0.5 s with AlexNet, whose
dense layers weigh most. Elsewhere they go in batches, and `answers` says why numbers do not depend on those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from cnnplan.diagnostics import printable
from cnnplan.errors import UsageError
from cnnplan.runtime.build import build
from cnnplan.runtime.prediction.ahead import batches, loaded
from cnnplan.runtime.prediction.answers import CLASSES, LABELS, SHARES, Answer, reading_of
from cnnplan.runtime.prediction.given import items
from cnnplan.runtime.prediction.images import Unreadable
from cnnplan.runtime.training.artifact import into, load
from cnnplan.runtime.training.objective import as_outputs
from cnnplan.runtime.training.prepare import Prepare

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

    from cnnplan.planning import Plan
    from cnnplan.runtime.training.artifact import Trained


class Prediction(NamedTuple):
    """What is said of one sample.

    Attributes:
        path: of its file.
        number: which one it is of an array, from 0; None for a file of its own.
        pairs: names and numbers, as `answers.Reading` has them.
    """

    path: str
    number: int | None
    pairs: tuple[tuple[str, float], ...]


class Predictor:
    """A trained network, ready to be asked.

    Args:
        weights: a file that `artifact.load` reads; it has to fit the network.
        device: "cpu", "cuda", or "auto" for CUDA where it is.
        top: how many classes are wanted; by default the likeliest, or all labels at or above 0.5.

    Attributes:
        reading: how its output is read.
        alone: whether samples go through one by one.
        notices: what the user should know.

    Raises:
        UsageError: the weights cannot be read or are not of this network, there is no such device, or not enough
            memory.
    """

    def __init__(self, plan: Plan, weights: str | Path, device: str = "auto", top: int | None = None) -> None:
        self.plan = plan
        self.device = _device(device)
        self.alone = self.device.type == "cpu"
        state, trained = load(weights)
        self.reading = reading_of(plan, trained, top)
        model = build(plan.graph)
        self.notices = [*into(model, plan, state, weights, strict=True), *self._said(trained, weights)]
        self.prepare = _prepare(plan, trained, weights)
        self._to_device(model)

    def _to_device(self, model: torch.nn.Module) -> None:
        try:
            self.model = model.to(self.device).eval()
            self.prepare = self.prepare.to(self.device).eval()
        except torch.cuda.OutOfMemoryError:
            raise UsageError("the device's memory is not enough for the weights; use --device cpu") from None

    def _said(self, trained: Trained | None, weights: str | Path) -> list[str]:
        shown, reading = printable(str(weights)), self.reading
        if trained is None:
            about = "classes are numbers, and " if reading.kind in (CLASSES, LABELS, SHARES) else ""
            return [f"{shown} says nothing of classes and normalization: {about}bytes go in as 0…1"]
        planned = self.plan.conditions.losses[reading.output]
        found = []
        if trained.loss not in (planned, None):
            found.append(
                f"{shown} was trained with {trained.loss}, which counts here, and not {planned} as the spec says"
            )
        now = tuple(tuple(value.shape) for value in self.plan.graph.inputs)
        if trained.inputs and trained.inputs != now:
            then, here = (
                ", ".join("x".join(map(str, shape)) for shape in several) for several in (trained.inputs, now)
            )
            asked = f": give{printable(trained.options)}" if trained.options else ""
            found.append(f"{shown} was trained at {then}, and this network takes {here}{asked}")
        if len(outputs := list(self.plan.graph.outputs)) > 1:
            found.append(f"of {len(outputs)} outputs '{outputs[reading.output]}' is shown: the first that has a loss")
        return found

    def __call__(self, paths: Iterable[str], batch: int = 32) -> Iterator[Prediction | Unreadable]:
        """Predict the samples of files, in order; what cannot be read is given in its place.

        Files are decoded by several threads while the network runs, at most two batches ahead.

        Raises:
            UsageError: a batch does not fit into memory.
        """
        for group in batches(loaded(items(tuple(paths), self.plan), 2 * batch), batch):
            answers = iter(self._asked([found for _, found in group if not isinstance(found, Unreadable)]))
            for item, found in group:
                if isinstance(found, Unreadable):
                    yield found
                    continue
                assert item is not None
                pairs = next(answers).pairs
                if pairs is None:
                    name = item.path if item.number is None else f"{item.path}[{item.number}]"
                    yield Unreadable(name, "the network's output for it is not finite")
                else:
                    yield Prediction(item.path, item.number, pairs)

    def _asked(self, samples: Sequence[tuple[Tensor, ...]]) -> list[Answer]:
        """The answers for samples of equal shapes."""
        if self.alone or len(samples) <= 1:
            return [self._answer(sample) for sample in samples]
        found = [self.reading(y) for y in self._outputs(samples)]
        return [one if one.sure else self._answer(sample) for one, sample in zip(found, samples, strict=True)]

    def _answer(self, sample: tuple[Tensor, ...]) -> Answer:
        return self.reading(self._outputs([sample])[0])

    def _outputs(self, samples: Sequence[tuple[Tensor, ...]]) -> Tensor:
        flags = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
        try:
            with torch.inference_mode(), flags:
                inputs = [torch.stack(several).to(self.device) for several in zip(*samples, strict=True)]
                outputs = as_outputs(self.model(*self.prepare(inputs)))
                return outputs[self.reading.output].cpu().double()
        except torch.cuda.OutOfMemoryError:
            raise UsageError("the device's memory is not enough for a batch; use a smaller --batch") from None
        except RuntimeError as error:
            if "not enough memory" not in str(error) and "allocate memory" not in str(error):
                raise
            raise UsageError("this machine's memory is not enough for a batch; use a smaller --batch") from None


def _device(name: str) -> torch.device:
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise UsageError("there is no CUDA device here; predict with --device cpu")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and there) else "cpu")


def _prepare(plan: Plan, trained: Trained | None, weights: str | Path) -> Prepare:
    inputs = plan.graph.inputs
    if trained is None:
        return Prepare(plan.graph, [()] * len(inputs), [()] * len(inputs))
    counts = [len(channels) for channels in trained.mean]
    wanted = [0 if value.dtype == "int64" else value.shape[0] for value in inputs]
    if len(counts) != len(wanted) or any(n not in (0, 1, w) for n, w in zip(counts, wanted, strict=True)):
        raise UsageError(
            f"{printable(str(weights))} has means of {counts} channels, and the inputs of '{plan.name}' have {wanted}: "
            f"they belong to another spec"
        )
    return Prepare(plan.graph, trained.mean, trained.std)
