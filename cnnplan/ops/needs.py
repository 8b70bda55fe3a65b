"""What an operation keeps for the backward pass, what it needs for a while, and for whose gradients."""

from typing import Final, NamedTuple


class Kept(NamedTuple):
    """A tensor beside inputs, outputs and parameters, such as one that autograd keeps for the backward pass.

    `dtype` is "float32", "int32", "int64" or "bool" whatever the model's, "activation" = the operation's own,
    "full" = as wide as its output, "pooled" = the operation's own on CUDA, "full" on a CPU, "reduced" the other
    way round, "mask": one byte an element on CUDA, the activation's own dtype on a CPU, or for a "weight mask"
    the parameters'; "cpu" and "cuda" = the operation's own there, and nothing elsewhere. A CPU keeps "float32" in
    the dtype of the parameters. `elements` are counted per sample, or once per batch where `per_sample` is false.
    `parts` are those of a CPU kernel's workspace, if it is one: each fills whole pages of memory.
    """

    what: str
    elements: int
    dtype: str
    per_sample: bool = True
    parts: tuple[int, ...] = ()


class Saved(NamedTuple):
    """What autograd keeps in training: which inputs, whether its outputs (or which), and tensors of its own.

    Inputs and output are named instead of counted: a ReLU's output is the next convolution's
    input, and a sum over layers would count that storage twice.
    """

    inputs: tuple[int, ...] = ()
    output: bool = False
    own: tuple[Kept, ...] = ()
    ports: tuple[int, ...] = ()


NOTHING: Final = Saved()
INPUT: Final = Saved(inputs=(0,))
OUTPUT: Final = Saved(output=True)


class Scratch(NamedTuple):
    """What an operation needs for a while, and where the gradient goes that enters its backward pass.

    Attributes:
        training: tensors of the forward pass in training, beside what it keeps and gives.
        evaluation: tensors of the forward pass in evaluation, beside what it gives.
        unkept: tensors of the forward pass in training, beside those, where it keeps nothing; by default those in
            evaluation, or what it would keep.
        backward: tensors of the backward pass, beside the gradients that enter and leave it.
        passes: the inputs whose gradient is the output's own, or a view of it.
        shared: whether all inputs get one and the same new gradient.
    """

    training: tuple[Kept, ...] = ()
    evaluation: tuple[Kept, ...] = ()
    backward: tuple[Kept, ...] = ()
    passes: tuple[int, ...] = ()
    shared: bool = False
    unkept: tuple[Kept, ...] = ()


NO_SCRATCH: Final = Scratch()
PASSES: Final = Scratch(passes=(0,))


class Needs(NamedTuple):
    """Which inputs of an operation need a gradient, and whether its parameters do."""

    inputs: tuple[bool, ...]
    parameters: bool

    @property
    def any(self) -> bool:
        """Whether the operation takes part in the backward pass."""
        return self.parameters or True in self.inputs
