from torch import Tensor, nn
from torch.nn import functional as F


class DropConnectLinear(nn.Linear):
    """A dense layer whose weights are zero with probability p in training, the same ones for the whole batch."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        p: float = 0.5,
        bias: bool = True,
    ) -> None:
        super().__init__(in_features, out_features, bias)
        self.p = p

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, F.dropout(self.weight, self.p, self.training), self.bias)
