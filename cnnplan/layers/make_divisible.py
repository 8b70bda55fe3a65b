def make_divisible(v: float, divisor: int = 8) -> int:
    """The multiple of divisor nearest to v, at least one of it and not below 0.9 v."""
    rounded = max(divisor, int(v + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * v else rounded
