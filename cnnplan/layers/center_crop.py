from torch import Tensor


def center_crop(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """The middle of the spatial axes of x."""
    for dim, out in enumerate(size, start=2):
        x = x.narrow(dim, (x.shape[dim] - out) // 2, out)
    return x
