"""lstm, gru: a recurrence along a sequence."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

from pydantic import Field, PlainValidator, WithJsonSchema

from cnnplan.errors import ShapeError
from cnnplan.ops.base import Argument, Module, Op, Shape, axes, check_elements
from cnnplan.ops.fields import Flag, Probability, Size, integer, refuse
from cnnplan.ops.needs import NOTHING, Kept, Needs, Saved, Scratch
from cnnplan.ops.window import FUTURE, MAX_LISTED, PAST, WHOLE, Window

MAX_LAYERS = 256


def _layers(value: object) -> int:
    count = integer(value, 1, "an integer ≥ 1")
    if count > MAX_LAYERS:
        raise refuse(f"at most {MAX_LAYERS} layers", value)
    return count


Layers = Annotated[
    int, PlainValidator(_layers), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MAX_LAYERS})
]

OUTPUT = "[hidden_size, steps], twice the channels if bidirectional; without steps if last"
PARAMETERS = (
    "directions * {} * hidden_size * (in_channels + hidden_size + biases"
    " + (num_layers - 1) * (directions * hidden_size + hidden_size + biases)): biases = 2 with bias, directions 1 or 2"
)
MACS = (
    "steps * directions * {} * hidden_size"
    " * (in_channels + hidden_size + (num_layers - 1) * (directions * hidden_size + hidden_size))"
)
FLOPS = "2 * macs + steps * directions * num_layers * hidden_size * ({} + {} * biases)"

COPY = "input, step by step"
STATES = "states"
INNER = "outputs of inner layers"


class _Recurrent(Op):
    target: ClassVar[str]
    gates: ClassVar[int]
    """Rows of the weights for each number of the state."""
    work: ClassVar[tuple[int, int]]
    """Operations on each number of the state in a step, beside the products: without biases, and for each of two."""

    hidden_size: Size = Field(description="numbers of the state: output channels")
    num_layers: Layers = Field(1, description="recurrences on top of each other")
    bias: Flag = Field(True, description="add learned numbers to each product")
    dropout: Probability = Field(0.0, description="probability of a zero between the layers")
    bidirectional: Flag = Field(False, description="a second recurrence from the end; its channels follow the first's")
    last: Flag = Field(False, description="give the final state of the last layer alone, of both directions")

    def uniform(self, *xs: Shape) -> bool:
        return False

    @property
    def directions(self) -> int:
        return 1 + self.bidirectional

    @property
    def units(self) -> int:
        """How many recurrences there are."""
        return self.num_layers * self.directions

    def entering(self, x: Shape) -> Iterator[int]:
        """The channels that enter each recurrence."""
        for layer in range(self.num_layers):
            for _ in range(self.directions):
                yield self.directions * self.hidden_size if layer else x.channels

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        out = self.directions * self.hidden_size
        if x.rank != 1:
            raise ShapeError(
                "S012",
                f"'{self.kind}' takes a sequence, [channels, steps]; its input {x} has {axes(x.rank)}",
                argument="hidden_size",
                help=f"`reshape: [{x.channels}, -1]` makes a map one" if x.rank else "give the vector an axis of steps",
                assume=Shape((out,)) if self.last else None,
            )
        if self.dropout and self.num_layers == 1:
            raise ShapeError(
                "Y911",
                f"dropout of '{self.kind}' acts between its layers, and num_layers is 1",
                argument="dropout",
                help="put `dropout` behind it",
            )
        return Shape((out,)) if self.last else check_elements(self.kind, Shape((out, x[1])))

    def parameters(self, *xs: Shape) -> dict[str, tuple[int, ...]]:
        rows = self.gates * self.hidden_size
        found: dict[str, tuple[int, ...]] = {}
        for index, entering in enumerate(self.entering(xs[0])):
            layer, backward = divmod(index, self.directions)
            name = f"l{layer}{'_reverse' * backward}"
            found |= {f"weight_ih_{name}": (rows, entering), f"weight_hh_{name}": (rows, self.hidden_size)}
            if self.bias:
                found |= {f"bias_ih_{name}": (rows,), f"bias_hh_{name}": (rows,)}
        return found

    def macs(self, *xs: Shape) -> int:
        (x,) = xs
        return x[1] * self.gates * self.hidden_size * sum(n + self.hidden_size for n in self.entering(x))

    def flops(self, *xs: Shape) -> int:
        states = xs[0][1] * self.units * self.hidden_size
        each, biases = self.work
        return 2 * self.macs(*xs) + states * (each + biases * 2 * self.bias)

    def terms(self, *xs: Shape) -> dict[str, int | tuple[int, ...]]:
        return {"steps": xs[0][1], "directions": self.directions, "biases": 2 * self.bias}

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        return () if self.last else (WHOLE if self.bidirectional else PAST,)

    def ways(self, index: int, port: int, *xs: Shape) -> tuple[tuple[Window, ...], ...]:
        if self.last or self.units != 2 or not self.bidirectional or self.hidden_size > MAX_LISTED:
            return ()
        every, nothing = (range(xs[0].channels),) * self.hidden_size, (range(0),) * self.hidden_size
        return (Window(0, every + nothing), PAST), (Window(0, nothing + every), FUTURE)

    def torch(self, *xs: Shape) -> Module:
        sizes = (Argument("input_size", xs[0].channels), Argument("hidden_size", self.hidden_size))
        return Module(self.target, sizes + self.options("num_layers", "bias", "dropout", "bidirectional", "last"))

    def sizes(self, x: Shape) -> tuple[int, int, int]:
        """The elements of the output, of the last layer's at all steps, and of the states of all recurrences."""
        sequence = self.directions * self.hidden_size * x[1]
        return self.output(x).numel, sequence, self.units * self.hidden_size

    def between(self, x: Shape) -> tuple[Kept, ...]:
        """What enters the layers above the first, and the masks of what does not."""
        inner, joined = self.num_layers - 1, self.directions * self.hidden_size * x[1]
        found = [Kept(INNER, inner * joined, "activation" if self.dropout else "cpu")] if inner else []
        return (*found, *([Kept("masks", inner * joined, "mask")] if self.dropout else []))


class LSTM(_Recurrent):
    """Long short-term memory along a sequence: [C, steps] to [hidden_size, steps], twice the channels if bidirectional.

    Gates i, f, o = sigmoid(W x + b + U h + b'), candidate g = tanh(…), cell c = f * c + i * g, state h = o * tanh(c),
    from zeros on; rows of the weights in the order i, f, g, o. `last: true` gives [hidden_size]: the state behind the
    last step, and behind it that of the other direction behind the first, if bidirectional.

    Memory on a CPU is that of torch's kernel, oneDNN's, whose workspace is wider than what the gradients need. What
    cuDNN reserves on a GPU is not documented: gates and cells are planned, which is the least it can be.

    Source: Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000; torch.nn.LSTM.
    """

    kind: ClassVar[str] = "lstm"
    target: ClassVar[str] = "SequenceLSTM"
    gates: ClassVar[int] = 4
    work: ClassVar[tuple[int, int]] = (19, 4)
    autocast: ClassVar[Mapping[str, str]] = {"cuda": "low", "cpu": "low"}
    formulas: ClassVar[dict[str, str]] = {
        "output": OUTPUT,
        "parameters": PARAMETERS.format(4),
        "macs": MACS.format(4),
        "flops": FLOPS.format(19, 4),
    }

    def saved(self, *xs: Shape) -> Saved:
        (x,) = xs
        h, steps = self.hidden_size, x[1]
        given = steps == 1 and not self.bidirectional and not self.last  # what the last layer gives is the output
        outputs = (self.units - given) * h * steps
        own = [
            Kept("first states", 2 * self.units * h, "activation"),
            Kept("last states", 2 * self.units * h, "cpu"),
            Kept("outputs", outputs, "activation"),
            Kept("reserve space", 5 * self.units * h * steps, "cuda"),
        ]
        own += [Kept(COPY, x.numel, "activation")] if steps > 1 else []
        own += [k for k in self.between(x) if self.dropout or (self.bidirectional and k.what == INNER)]
        for entering in self.entering(x):
            parts = workspace(entering, h, steps)
            own.append(Kept("workspace", sum(parts), "cpu", parts=parts))
            if not self.bias:
                own.append(Kept("zeros for biases", 4 * h * (entering + h), "cpu", per_sample=False))
        return Saved(() if steps > 1 else (0,), given, tuple(own))

    def repacked(self, *xs: Shape) -> str:
        return "always" if xs[0][1] == 1 else ""

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        (x,) = xs
        out, sequence, states = self.sizes(x)
        copy = x.numel if x[1] > 1 else 0
        joined = sequence if self.bidirectional else 0
        given = out if self.last or x[1] > 1 else 0  # a single step is given as it is
        most = max(
            6 * states + copy + sequence + joined,
            4 * states + copy + sequence * (self.num_layers > 1) + sequence + joined,
            2 * states + sequence + given,
        )
        training = Kept("states", 2 * states + joined * (given > 0), "activation")
        zeros = max((k.elements for k in self.saved(x).own if not k.per_sample), default=0)
        evaluation = Kept("states", most - out, "activation"), Kept("zeros for biases", zeros, "cpu", per_sample=False)
        largest = max((k for k in self.saved(x).own if k.parts), key=lambda k: k.elements)
        beside = evaluation[0]._replace(elements=max(0, evaluation[0].elements - training.elements))
        gradients = [Kept("gradients of the first states", 2 * self.hidden_size, "activation")]
        if not self.bias:
            gradients.append(Kept("gradients of zeros", 8 * self.hidden_size, "activation", per_sample=False))
        return Scratch((training,), evaluation, tuple(gradients), unkept=(beside, evaluation[1], largest))


class GRU(_Recurrent):
    """Gated recurrent unit along a sequence: [C, steps] to [hidden_size, steps], twice the channels if bidirectional.

    Gates r, z = sigmoid(W x + b + U h + b'), candidate n = tanh(W x + b + r * (U h + b')), state h = (1 - z) * n +
    z * h, from zeros on; rows of the weights in the order r, z, n. `last: true` gives [hidden_size]: the state behind
    the last step, and behind it that of the other direction behind the first, if bidirectional.

    Memory on a CPU is that of torch's own steps. What cuDNN reserves on a GPU is not documented: gates and candidates
    are planned, which is the least it can be.

    Source: Cho et al. 2014, arXiv:1406.1078; torch.nn.GRU.
    """

    kind: ClassVar[str] = "gru"
    target: ClassVar[str] = "SequenceGRU"
    gates: ClassVar[int] = 3
    work: ClassVar[tuple[int, int]] = (15, 3)
    autocast: ClassVar[Mapping[str, str]] = {"cuda": "low"}
    formulas: ClassVar[dict[str, str]] = {
        "output": OUTPUT,
        "parameters": PARAMETERS.format(3),
        "macs": MACS.format(3),
        "flops": FLOPS.format(15, 3),
    }

    def saved(self, *xs: Shape) -> Saved:
        (x,) = xs
        states = self.units * self.hidden_size * x[1]
        own = [
            Kept("gates", 3 * states, "cpu"),
            Kept("candidates", 3 * states, "cpu"),
            Kept(STATES, states, "activation"),
            Kept("reserve space", 4 * states, "cuda"),
            *self.between(x),
        ]
        own += [Kept(COPY, self.directions * x.numel, "cpu"), Kept(COPY, x.numel, "cuda")] if x[1] > 1 else []
        return Saved(() if x[1] > 1 else (0,), own=tuple(own))

    def kept(self, needs: Needs, *xs: Shape) -> Saved:
        if not needs.any:
            return NOTHING
        saved = self.saved(*xs)
        if needs.parameters:
            return saved
        return Saved(own=tuple(k for k in saved.own if k.dtype == "cuda" or k.what not in (COPY, STATES, INNER)))

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        (x,) = xs
        h, (out, sequence, states) = self.hidden_size, self.sizes(x)
        one, inner = h * x[1], self.num_layers > 1
        gates, joined = 3 * one, sequence if self.bidirectional else 0
        given = out if self.last or x[1] > 1 else 0
        first = states + max(x.numel + gates, gates * (1 + self.bias)) if x[1] > 1 else states + gates
        behind = gates + 2 * one if self.bidirectional else 0  # of the first direction
        layers = states + (sequence + (self.num_layers - 1) * self.directions * h) * inner  # what enters the last layer
        step = layers + gates + (x[1] - 1) * h + 5 * h + behind - (gates if self.bidirectional else 0)
        stacked = layers + gates + 2 * sequence + joined
        most = max(first + behind, step, stacked, sequence + states + given)
        training = max(states + gates + sequence + joined, sequence + states + given) - out
        # the gradient of a step's weights, while those of the input's are not there yet
        again = Kept("gradients of a step", max(0, 3 * h * (h - x.channels)) * (x[1] > 1), "activation", False)
        evaluation = Kept("gates", most - out, "cpu"), Kept("outputs", x.numel + sequence, "cuda")
        return Scratch((Kept("gates", training, "cpu"), Kept("outputs", sequence, "cuda")), evaluation, (again,))


def workspace(entering: int, h: int, steps: int) -> tuple[int, ...]:
    """The elements of the parts of oneDNN's workspace: gates, their copy, inputs and states, cells, and gradients.

    Rows are padded to 64 bytes; those of a multiple of 1024 bytes once more, as they would meet in a cache.
    """
    widest = (steps + 1) * 2 * padded(max(entering, h))
    cells = (steps + 1) * 2 * h
    return (steps * padded(4 * h), steps * padded(h), widest, cells, widest, widest, cells)


def padded(n: int) -> int:
    """The elements of a row of n numbers of four bytes."""
    row = -(-n // 16) * 16
    return row + 16 if row % 256 == 0 else row


OPS = {op.kind: op for op in (LSTM, GRU)}
