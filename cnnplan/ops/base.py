"""What an operation is: the base class, and the small values its methods speak in.

    Op       one operation with its arguments: a frozen Pydantic class whose fields are its YAML keys
    Shape    the shape of one sample
    Saved    what autograd keeps of it for the backward pass
    Scratch  what it needs for a while, and where gradients pass through it
    Module   the torch.nn module that runs it     } data, not torch: the emitter writes them
    Inline   the expression that runs it          }

An operation's rules are methods of the shapes of its inputs. None of them imports torch.
"""

from collections.abc import Mapping
from math import prod
from typing import Any, ClassVar, Final, NamedTuple, TypeAlias

from pydantic import BaseModel, ConfigDict

from cnnplan.errors import ShapeError
from cnnplan.ops.needs import NO_SCRATCH, NOTHING, Needs, Saved, Scratch
from cnnplan.ops.window import POINTWISE, WHOLE, Window

MAX_ELEMENTS = 2**63 - 1


class Shape(tuple[int, ...]):
    """The shape of one sample: channels, then 0 to 3 spatial sizes."""

    __slots__ = ()

    @property
    def channels(self) -> int:
        return self[0]

    @property
    def spatial(self) -> tuple[int, ...]:
        return self[1:]

    @property
    def rank(self) -> int:
        """How many spatial axes: 0 for a vector, 2 for an image."""
        return len(self) - 1

    @property
    def numel(self) -> int:
        return prod(self)

    def __str__(self) -> str:
        return "x".join(map(str, self))


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = _Required()


class Argument(NamedTuple):
    """An argument of a torch call; left out where it equals its default."""

    name: str
    value: Any
    default: Any = REQUIRED
    keyword: bool = False


class Module(NamedTuple):
    """A module: a class of torch.nn or of cnnplan.layers, and its arguments.

    `before` and `after` are further modules, without parameters, that run around it
    (padding that differs between the sides of an axis; the flattening of a pooled map).
    """

    target: str
    arguments: tuple[Argument, ...] = ()
    before: "Module | None" = None
    after: "Module | None" = None


class Inline(NamedTuple):
    """An expression over `{0}`, `{1}` … (the inputs) or `{all}` (all of them, with commas).

    Every other `{name}` is an argument, `{options}` all keyword arguments behind a comma. The
    template is a constant of the operation's file; `helper` is a function of cnnplan.layers, and
    `in_place` the expression that overwrites the first input, of an operation that can.
    """

    template: str
    arguments: tuple[Argument, ...] = ()
    helper: str | None = None
    in_place: str = ""


def module(target: str, *positional: Any, **keywords: tuple[Any, Any]) -> Module:
    """`module("nn.Conv2d", ("in_channels", 3), stride=(2, 1))`: names, values and defaults."""
    required = tuple(Argument(*p) for p in positional)
    return Module(target, required + tuple(Argument(n, v, d, True) for n, (v, d) in keywords.items()))


class Op(BaseModel):
    """One operation with its arguments. Subclasses are its rules; see `cnnplan ops NAME`.

    The fields are the YAML keys, with PyTorch's names and defaults; the first one is the argument
    that a bare scalar or list sets. Methods take the shapes of the inputs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    kind: ClassVar[str]
    group: ClassVar[str] = "other"
    formulas: ClassVar[dict[str, str]] = {}
    inputs: ClassVar[tuple[int, int | None]] = (1, 1)
    """The fewest and the most values it takes; None = any number."""
    refers: ClassVar[str] = ""
    """Its argument that names another value: `like`, whose size it takes, or `of`, the pool that it undoes."""
    hidden: ClassVar[int] = 0
    """How many of its last outputs nothing but the operation that asks for them can take."""
    folds_axis: ClassVar[int] = 0
    """1 = it folds an axis of the sample into the batch; -1 = it puts one back."""
    inline: ClassVar[bool] = False
    """Whether torch runs it as an expression alone, never as a module."""
    pairwise: ClassVar[bool] = False
    """Whether its module merges results as they come, two at a time."""
    own_channels: ClassVar[bool] = False
    """Whether each output channel reads the input's channel of the same number alone."""
    dtypes: ClassVar[tuple[str, ...]] = ("float32",)
    """The dtypes it takes."""
    gives: ClassVar[str] = ""
    """The dtype of its output; "" = that of its first input."""
    keeps_for_weights: ClassVar[bool] = False
    """Whether its input is kept for the gradients of its parameters alone."""
    writable: ClassVar[bool] = False
    """Whether its output is a tensor of its own that nobody keeps: the next operation may overwrite it."""
    folds: ClassVar[bool] = False
    """Whether it is a factor and an offset for each channel in evaluation."""
    takes_norms: ClassVar[bool] = False
    """Whether its weights and bias can take in such a factor and offset behind it."""
    repacks: ClassVar[str] = ""
    """Whether it copies an input that is not row-major, and keeps the copy: "always", "cuda" where one with the
    channels last is kept as it is on a CPU, "last" where one is kept only if its positions are
    rows of a matrix, or never."""
    layout: ClassVar[str] = ""
    """The order of its output's axes in memory: "same" as its input's, "format" = channels last where all its
    inputs' are, "last" = channels last, "regions" = the second axis outermost, or row-major."""
    detached: ClassVar[frozenset[int]] = frozenset()
    """The inputs to which no gradient passes."""
    autocast: ClassVar[Mapping[str, str]] = {}
    """Under torch.autocast, by device: "low" and "float32" cast its inputs, "volumes" to float32 those with
    three spatial axes, "widest" all to the widest of them, "inside" to float32 whose output is as wide as the
    first of them; "result" makes its output float32 alone."""

    def output(self, *xs: Shape) -> Shape:
        """The output's shape.

        Raises:
            ShapeError: PyTorch would refuse these inputs.
        """
        return xs[0]

    def outputs(self, *xs: Shape) -> tuple[Shape, ...]:
        """The shapes of all outputs; most operations have one."""
        return (self.output(*xs),)

    def dtype_of(self, port: int, first: str) -> str:
        """The dtype of an output, from that of the first input."""
        return self.gives or first

    def parameters(self, *xs: Shape) -> dict[str, tuple[int, ...]]:
        """The learned tensors by name, as PyTorch names and shapes them."""
        return {}

    def buffers(self, *xs: Shape) -> dict[str, tuple[int, ...]]:
        """The registered buffers by name, as PyTorch names and shapes them."""
        return {}

    def macs(self, *xs: Shape) -> int:
        """Multiply-accumulates of convolutions and matrix products, for one sample."""
        return 0

    def flops(self, *xs: Shape) -> int:
        """Floating point operations for one sample: 2 · macs and the elementwise work."""
        return 2 * self.macs(*xs)

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        """Which inputs an output unit reads, one `Window` for each spatial axis of the output."""
        return (POINTWISE,) * xs[0].rank

    def channels(self, *xs: Shape) -> Window:
        """Which channels of the input an output channel reads: all of them, unless the operation says less."""
        return POINTWISE if self.own_channels else WHOLE

    def reads(self, index: int, port: int, *xs: Shape) -> tuple[Window, ...]:
        """What output `port` reads of input `index`: channels first, then along each spatial axis."""
        return (self.channels(*xs), *self.windows(*xs))

    def ways(self, index: int, port: int, *xs: Shape) -> tuple[tuple[Window, ...], ...]:
        """Where one `reads` is only around several: those, whose union is read, for all channels together."""
        return ()

    def bounds(self, *xs: Shape) -> str:
        """Where `reads` is only a bound of what is read, because axes are mixed.

        "": nowhere; "parts": where less than all channels are asked for; "channels": in the channels
        that are read; "all": wherever less than the whole output is asked for; "always": everywhere, for
        what is read depends on the data.
        """
        return ""

    def uniform(self, *xs: Shape) -> bool:
        """Whether it does the same at every position."""
        return True

    def keeps_order(self) -> bool:
        """Whether what it reads of a whole axis is a statistic of it beside each unit's own value."""
        return self.group == "normalization"

    def interpolates(self) -> bool:
        """Whether torch may weigh units that are not read with 0, or with nearly 0."""
        return False

    def saved(self, *xs: Shape) -> Saved:
        """What autograd keeps for the backward pass, in training, where all inputs need gradients."""
        return NOTHING

    def kept(self, needs: Needs, *xs: Shape) -> Saved:
        """What autograd keeps where not all inputs and parameters need gradients."""
        if not needs.any:
            return NOTHING
        saved = self.saved(*xs)
        return saved._replace(inputs=()) if self.keeps_for_weights and not needs.parameters else saved

    def scratch(self, needs: Needs, *xs: Shape) -> Scratch:
        """What it needs for a while."""
        return NO_SCRATCH

    def by_rows(self, *xs: Shape) -> str:
        """The module of cnnplan.layers that runs it faster on images with the channels last: as rows of a matrix."""
        return ""

    def overwrites(self, *xs: Shape) -> bool:
        """Whether torch can run it in place and then keeps nothing but its output for the backward pass."""
        return False

    def overwrites_a_copy(self) -> bool:
        """Whether torch can run it in place, and keeps a copy of its input where there is a backward pass."""
        return False

    def is_view(self, *xs: Shape) -> bool:
        """Whether the output shares the storage of the first input."""
        return False

    def autocasts(self, device: str, *xs: Shape) -> str:
        """What torch.autocast does with it on a device: see `autocast`."""
        rule = self.autocast.get(device, "")
        return rule if rule != "volumes" else "float32" if xs[0].rank == 3 else ""

    def repacked(self, *xs: Shape) -> str:
        """Whether it copies an input that is not row-major: see `repacks`."""
        return self.repacks

    def arranged(self, *xs: Shape) -> str:
        """The order of its output's axes in memory: see `layout`."""
        return self.layout

    def strided(self, strides: tuple[int, ...], *xs: Shape) -> tuple[int, ...] | None:
        """Of a view: the strides of its outputs, from its input's; None where it has to copy."""
        return strides

    def passes_by(self, *xs: Shape) -> bool:
        """Whether the output is the first input itself in evaluation."""
        return self.is_view(*xs)

    def torch(self, *xs: Shape) -> Module | Inline:
        """How torch runs it."""
        raise NotImplementedError

    def formula(self, number: str, *xs: Shape) -> str:
        """The formula of "output", "parameters", "buffers", "macs" or "flops", as it is for these arguments."""
        text = self.formulas.get(number, "0").partition(":")[0]
        text = text.removesuffix(" along each axis").removesuffix(" comparisons")
        head, _, bias = text.partition(", and ")
        if bias.endswith(" for the bias"):
            return f"{head} + {bias.removesuffix(' for the bias')}" if getattr(self, "bias", False) else head
        return text

    def terms(self, *xs: Shape) -> dict[str, int | tuple[int, ...]]:
        """What further words of its formulas stand for; a tuple has a number for each spatial axis."""
        return {}

    def serves(self, planned: tuple[Shape, ...], xs: tuple[Shape, ...]) -> bool:
        """Whether the module that is built for the planned shapes does the same as one for others would."""
        return self.parameters(*planned) == self.parameters(*xs) and self.torch(*planned) == self.torch(*xs)

    @classmethod
    def first(cls) -> str | None:
        """The argument that a bare scalar or list sets."""
        return next(iter(cls.model_fields), None)

    def options(self, *names: str) -> tuple[Argument, ...]:
        """Fields as keyword arguments of a torch class that shares their names and defaults."""
        fields = type(self).model_fields
        return tuple(Argument(n, plain(getattr(self, n)), plain(fields[n].default), True) for n in names)


PerAxis: TypeAlias = int | tuple[int, ...]


def plain(value: Any) -> Any:
    """A per-axis tuple of equal numbers as that number, as people write it."""
    if isinstance(value, tuple) and value and all(v == value[0] for v in value):
        return value[0]
    return value


AXES: Final = {0: (), 1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}


def axes(n: int) -> str:
    """1 axis, 2 axes."""
    return "1 axis" if n == 1 else f"{n} axes"


def require_spatial(kind: str, x: Shape) -> int:
    """The number of spatial axes, from 1 to 3.

    Raises:
        ShapeError: the input is a vector, or has more axes than an image or a volume.
    """
    if 1 <= x.rank <= 3:
        return x.rank
    if x.rank == 0:
        raise ShapeError(
            "S012",
            f"'{kind}' slides over a map, but its input is a vector of {x.channels}",
            help=f"put it before `flatten`, or give the vector axes: `reshape: [{x.channels}, 1, 1]`",
        )
    raise ShapeError("S012", f"'{kind}' takes 1 to 3 spatial axes; its input {x} has {x.rank}")


def per_axis(kind: str, name: str, value: PerAxis, x: Shape) -> tuple[int, ...]:
    """An argument given once for all axes or once for each, as one number for each axis.

    Raises:
        ShapeError: it lists another number of axes than the input has.
    """
    if isinstance(value, int):
        return (value,) * x.rank
    if len(value) != x.rank:
        raise ShapeError(
            "S012",
            f"'{kind}' has {name} for {axes(len(value))}, but its input {x} has {x.rank}",
            argument=name,
            help=f"give one number, or {x.rank}" if x.rank > 1 else "give one number",
        )
    return value


def axis_of(kind: str, axis: int, x: Shape) -> int:
    """The axis counted from 0.

    Raises:
        ShapeError: the sample has no such axis.
    """
    if not -len(x) <= axis < len(x):
        raise ShapeError(
            "S012",
            f"'{kind}' has axis {axis}, but its input {x} has {axes(len(x))}",
            argument="axis",
            help=f"use 0 (channels) to {len(x) - 1}" if len(x) > 1 else "its only axis is 0",
        )
    return axis % len(x)


def require_one(op: Op, *names: str) -> None:
    """Refuse anything but exactly one of these arguments.

    Raises:
        ShapeError: none is given, or several are.
    """
    given = [name for name in names if getattr(op, name) is not None]
    if len(given) != 1:
        choices = f"{', '.join(names[:-1])} and {names[-1]}"
        raise ShapeError(
            "Y911" if given else "Y912",
            f"'{op.kind}' needs exactly one of {choices}, not {' and '.join(given) or 'none'}",
            argument=given[1] if given else None,
        )


def check_elements(kind: str, shape: Shape) -> Shape:
    """The shape itself.

    Raises:
        ShapeError: no machine addresses a tensor of that many elements.
    """
    if shape.numel > MAX_ELEMENTS:
        raise ShapeError("S022", f"the output of '{kind}', {shape}, has 2^63 elements or more")
    return shape
