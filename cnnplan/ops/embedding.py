"""embedding: a learned vector for each token."""

from typing import ClassVar

from pydantic import Field

from cnnplan.errors import ShapeError
from cnnplan.ops.base import Argument, Module, Op, Shape, check_elements
from cnnplan.ops.fields import Integer, Size
from cnnplan.ops.needs import INPUT, NOTHING, Needs, Saved
from cnnplan.ops.window import WHOLE, Window


class Embedding(Op):
    """A learned vector for each token: [L] integers from 0 to num_embeddings - 1 to [embedding_dim, L].

    Its numbers are the channels, so that convolutions slide over the tokens.

    Source: Bengio et al. 2003, "A neural probabilistic language model"; torch.nn.Embedding.
    """

    kind: ClassVar[str] = "embedding"
    group: ClassVar[str] = "dense"
    dtypes: ClassVar[tuple[str, ...]] = ("int64",)
    gives: ClassVar[str] = "float32"
    layout: ClassVar[str] = "last"
    writable: ClassVar[bool] = True
    formulas: ClassVar[dict[str, str]] = {
        "output": "[embedding_dim, tokens]",
        "parameters": "num_embeddings * embedding_dim",
    }

    num_embeddings: Size = Field(description="how many tokens there are")
    embedding_dim: Size = Field(description="numbers for each token: output channels")
    padding_idx: Integer | None = Field(None, description="a token whose vector is zero, and stays so; -1 = the last")

    def output(self, *xs: Shape) -> Shape:
        (x,) = xs
        if x.rank:
            raise ShapeError(
                "S012",
                f"'embedding' takes a vector of tokens, but its input is {x}",
                help=f"put `- flatten` before it ({x.numel:,} tokens)",
            )
        if self.padding_idx is not None and not -self.num_embeddings <= self.padding_idx < self.num_embeddings:
            raise ShapeError(
                "Y911",
                f"padding_idx {self.padding_idx} is none of the {self.num_embeddings} tokens",
                argument="padding_idx",
                help=f"use 0 to {self.num_embeddings - 1}",
                assume=Shape((self.embedding_dim, *x)),
            )
        return check_elements(self.kind, Shape((self.embedding_dim, *x)))

    def parameters(self, *xs: Shape) -> dict[str, tuple[int, ...]]:
        return {"weight": (self.num_embeddings, self.embedding_dim)}

    def windows(self, *xs: Shape) -> tuple[Window, ...]:
        return (Window(1, (range(1),), -1),)

    def channels(self, *xs: Shape) -> Window:
        return WHOLE

    def saved(self, *xs: Shape) -> Saved:
        return INPUT

    def kept(self, needs: Needs, *xs: Shape) -> Saved:
        return INPUT if needs.parameters else NOTHING

    def torch(self, *xs: Shape) -> Module:
        sizes = (Argument("num_embeddings", self.num_embeddings), Argument("embedding_dim", self.embedding_dim))
        return Module("Embedding", sizes + self.options("padding_idx"))
