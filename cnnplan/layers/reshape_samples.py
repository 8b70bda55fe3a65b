from torch import Tensor


def reshape_samples(x: Tensor, *shape: int) -> Tensor:
    """Each sample of the batch in another shape; -1 stands for what is left."""
    return x.reshape(x.size(0), *shape)
