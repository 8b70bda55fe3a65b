"""The activations without arguments, as a table. Those with arguments have files of their own."""

from typing import ClassVar, NamedTuple

from cnnplan.ops.base import Module, Op, Shape
from cnnplan.ops.needs import INPUT, NO_SCRATCH, OUTPUT, Kept, Needs, Saved, Scratch


class Row(NamedTuple):
    """One activation: its formula, operations per element, what autograd keeps, how torch runs it."""

    formula: str
    work: int
    saved: Saved
    target: str
    source: str
    backward: float = 0
    """Elements of the backward pass for each of the input."""


TANH = Kept("tanh", 1, "activation")

TABLE: dict[str, Row] = {
    "relu": Row("max(0, x)", 1, OUTPUT, "nn.ReLU", "Nair & Hinton 2010"),
    "relu6": Row("min(max(0, x), 6)", 1, INPUT, "nn.ReLU6", "Krizhevsky 2010"),
    "selu": Row(
        "1.0507 * (max(0, x) + min(0, 1.6733 * (exp(x) - 1)))",
        4,
        INPUT,
        "nn.SELU",
        "Klambauer et al. 2017, arXiv:1706.02515",
    ),
    "silu": Row("x / (1 + exp(-x))", 3, INPUT, "nn.SiLU", "Elfwing et al. 2017, arXiv:1702.03118"),
    "mish": Row("x * tanh(log(1 + exp(x)))", 5, INPUT, "nn.Mish", "Misra 2019, arXiv:1908.08681"),
    "hardswish": Row("x * min(max(0, x + 3), 6) / 6", 4, INPUT, "nn.Hardswish", "Howard et al. 2019, arXiv:1905.02244"),
    "hardsigmoid": Row(
        "min(max(0, x + 3), 6) / 6", 3, INPUT, "nn.Hardsigmoid", "Courbariaux et al. 2015, arXiv:1511.00363"
    ),
    "sigmoid": Row("1 / (1 + exp(-x))", 3, OUTPUT, "nn.Sigmoid", "Rumelhart, Hinton & Williams 1986"),
    "tanh": Row("(exp(x) - exp(-x)) / (exp(x) + exp(-x))", 1, OUTPUT, "nn.Tanh", "LeCun et al. 1998"),
    "abs": Row("|x|", 1, INPUT, "Abs", "Jarrett et al. 2009", 1),
    "abs_tanh": Row("|tanh(x)|", 2, Saved(own=(TANH,)), "AbsTanh", "Jarrett et al. 2009", 1),
}


class Activation(Op):
    """An activation without arguments; `row` says which."""

    group: ClassVar[str] = "activation"
    layout: ClassVar[str] = "same"
    own_channels: ClassVar[bool] = True
    row: ClassVar[Row]

    def flops(self, *xs: Shape) -> int:
        return self.row.work * xs[0].numel

    def saved(self, *xs: Shape) -> Saved:
        own = tuple(k._replace(elements=k.elements * xs[0].numel) for k in self.row.saved.own)
        return self.row.saved._replace(own=own)

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        if not self.row.backward:
            return NO_SCRATCH
        product = Kept("product", int(self.row.backward * xs[0].numel), "activation")
        return Scratch(evaluation=self.saved(*xs).own, backward=(product,))

    def overwrites(self, *xs: Shape) -> bool:
        return self.kind in ("relu", "selu")

    def overwrites_a_copy(self) -> bool:
        return self.kind in ("relu6", "silu", "mish", "hardswish", "hardsigmoid")

    def torch(self, *xs: Shape) -> Module:
        return Module(self.row.target)


def define(kind: str) -> type[Op]:
    """The operation of one row. A class a row costs start-up time only where a spec names it."""
    row = TABLE[kind]
    namespace = {
        "__module__": __name__,
        "__doc__": f"{row.formula}, at each element.\n\n    Source: {row.source}"
        + (f"; torch.{row.target}." if row.target.startswith("nn.") else "."),
        "__annotations__": {"kind": ClassVar[str], "row": ClassVar[Row], "formulas": ClassVar[dict[str, str]]},
        "kind": kind,
        "row": row,
        "formulas": {"output": "the input's shape", "flops": f"{row.work} * prod(input)"},
    }
    return type(kind.title().replace("_", ""), (Activation,), namespace)


OPS = TABLE.keys()
