"""The whole network: samples a second, in training and in inference, as it stands and in other ways to run it."""

from __future__ import annotations

import contextlib
import copy
import logging
import warnings
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from cnnplan.emit import emit
from cnnplan.emit.optimized import FUNCTION
from cnnplan.runtime.build import execute
from cnnplan.runtime.profiling.stable import Spread, repeated, spread
from cnnplan.runtime.steps import Step, inputs_for, targets_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from cnnplan.planning import Plan
    from cnnplan.runtime.profiling.clock import Clock


class Way(NamedTuple):
    """A way to run a network.

    Attributes:
        name: what it is.
        channels_last, compiled, optimized: what is done to the model; the last one for inference alone.
        dtype: "" for that of the plan; else that of mixed precision.
    """

    name: str
    channels_last: bool = False
    compiled: bool = False
    optimized: bool = False
    dtype: str = ""

    @property
    def trains(self) -> bool:
        """Whether it is another way to train, too."""
        return self.channels_last or self.compiled or bool(self.dtype) or not self.optimized


class Speed(NamedTuple):
    """How fast a way is.

    Attributes:
        way: which.
        inference, training: seconds of a batch; None where it was not run.
        reason: why not.
        faster: how many times faster than eager, in inference and in training: medians of runs in turn.
    """

    way: Way
    inference: Spread | None
    training: Spread | None
    reason: str = ""
    faster: tuple[float | None, float | None] = (None, None)


EAGER = Way("eager")


def ways(plan: Plan, place: torch.device) -> list[Way]:
    """What a sweep tries: each way alone, and all that may help together."""
    narrow = "bfloat16" if place.type == "cpu" or torch.cuda.is_bf16_supported() else "float16"
    mixed = [Way(f"mixed {narrow}", dtype=narrow)] if plan.conditions.dtype == "float32" else []
    images = any(v.shape.rank in (2, 3) for v in plan.graph.inputs)
    last = [Way("channels_last", channels_last=True)] if images else []
    together = Way("all of them", images, True, True, narrow if mixed else "")
    return [EAGER, *last, Way("torch.compile", compiled=True), *mixed, Way("folded norms", optimized=True), together]


class Whole:
    """Runs the batches of a plan on a device, in different ways, always from the same weights."""

    def __init__(self, plan: Plan, place: torch.device, clock: Clock, seconds: float, runs: int | None) -> None:
        self.plan, self.place, self.clock = plan, place, clock
        self.seconds, self.runs = seconds, runs
        source = emit(plan.graph, optimize=True)
        self._module = execute(source)
        self._model: nn.Module = getattr(self._module, source.model)()

    def speed(self, way: Way, *, training: bool = True, beside: bool = False) -> Speed:
        """Measure a way; what torch cannot do is said.

        Args:
            training: measure a training step, too.
            beside: in turn with eager.
        """
        times: list[Spread | None] = [None, None]
        faster: list[float | None] = [None, None]
        reasons = []
        with _quiet():
            for index, make in enumerate((self.inference, self.training)):
                if index and not (training and way.trains):
                    continue
                try:
                    times[index], faster[index] = self._timed(make(way), make(EAGER) if beside else None)
                except _FAILURES as error:
                    reasons.append(_reason(error))
            if way.compiled:
                torch.compiler.reset()
        inference, trained = times
        return Speed(way, inference, trained, "; ".join(dict.fromkeys(reasons)), (faster[0], faster[1]))

    def inference(self, way: Way) -> Callable[[], object]:
        """A batch through the network in evaluation."""
        model = copy.deepcopy(self._model).to(self.place).eval()
        if way.optimized:
            model = getattr(self._module, FUNCTION)(model)
        dtype = getattr(torch, self.plan.conditions.dtype)
        inputs = self._laid(model, inputs_for(self.plan.memory, self.place, dtype), way)
        model = model.to(dtype)
        run: Callable[..., object] = torch.compile(model) if way.compiled else model

        def infer() -> object:
            with torch.no_grad(), self._autocast(way):
                return run(*inputs)

        return infer

    def training(self, way: Way) -> Callable[[], object]:
        """A training step."""
        model = copy.deepcopy(self._model).to(self.place).train()
        conditions = self.plan.conditions
        if not conditions.mixed:
            model = model.to(getattr(torch, conditions.dtype))
        memory = self.plan.memory
        inputs = self._laid(model, inputs_for(memory, self.place), way)
        step = Step(memory, model, inputs, targets_for(memory, self.place), self.place.type)
        if way.dtype:
            step.conditions = conditions._replace(dtype=way.dtype, pure=False)
        if way.compiled:
            step.model = torch.compile(model)  # type: ignore[assignment]
        return step

    def _laid(self, model: nn.Module, inputs: Sequence[Tensor], way: Way) -> list[Tensor]:
        """The inputs, and the model, channels last where that is asked."""
        if not way.channels_last:
            return list(inputs)
        formats = {4: torch.channels_last, 5: torch.channels_last_3d}
        for rank, format in formats.items():
            for tensor in (*model.parameters(), *model.buffers()):
                if tensor.dim() == rank:
                    tensor.data = tensor.data.contiguous(memory_format=format)
        return [x.contiguous(memory_format=formats[x.dim()]) if x.dim() in formats else x for x in inputs]

    def _autocast(self, way: Way) -> torch.autocast:
        return torch.autocast(self.place.type, getattr(torch, way.dtype or "bfloat16"), enabled=bool(way.dtype))

    def _timed(self, run: Callable[[], object], eager: Callable[[], object] | None) -> tuple[Spread, float | None]:
        """The time of a batch, and how many times longer another one takes in turn."""
        clock = self.clock

        def once() -> list[float]:
            clock.start()
            clock.mark()
            run()
            clock.mark()
            if eager:
                eager()
                clock.mark()
            return clock.spans()

        spans, _ = repeated(once, _total, self.seconds, self.runs)
        return spread([own for own, *_ in spans]), median(b / a for a, b in spans) if eager else None


def _total(spans: list[float]) -> float:
    return sum(spans)


_FAILURES = (RuntimeError, NotImplementedError, ValueError, TypeError, AssertionError, OSError)


def _reason(error: BaseException) -> str:
    """What torch says, in a line."""
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return text if len(text) <= 100 else f"{text[:97]}..."


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what compilers and kernels remark."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
