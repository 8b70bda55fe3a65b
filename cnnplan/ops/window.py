"""Windows: which inputs an output unit reads along one axis.

`Window` is the quasi-affine index map of every local operation: output unit P·q + r (P phases)
reads the inputs A·q + t for the taps t of phase r. A plain convolution has one phase; a transposed
convolution with stride s has s. The rules below (`Sliding`, `Spread` …) give the output size and
this map from the same numbers, so a layer and its receptive field cannot disagree.

Source: Dumoulin & Visin 2016, arXiv:1603.07285; Araujo, Norris & Sim 2019,
doi:10.23915/distill.00021; the documentation of torch.nn.
"""

from fractions import Fraction
from functools import lru_cache
from math import ceil, floor, gcd
from typing import NamedTuple


class Window(NamedTuple):
    """The inputs that an output unit reads along one axis.

    Attributes:
        advance: how far the read inputs move from one period of output units to the next.
        phases: for each unit of a period, the inputs read relative to `advance` · period.
        source: the input's spatial axis that is read; None = the same as the output's.

    `WHOLE` stands for an axis that is read from end to end by every unit.
    """

    advance: int
    phases: tuple[range, ...]
    source: int | None = None

    def reads(self, unit: int, size: int) -> range:
        """The inputs that `unit` reads, padding left out, where the input has `size` units."""
        if not self.phases:
            return range(size)
        period, phase = divmod(unit, len(self.phases))
        taps = self.phases[phase]
        start, step = taps.start + self.advance * period, taps.step
        stop = min(taps.stop + self.advance * period, size)
        if start < 0:
            start += -(start // step) * step
        return range(start, max(start, stop), step)


POINTWISE = Window(1, (range(1),))
WHOLE = Window(0, ())


def shifted(by: int) -> Window:
    """Output unit o reads input o + by: padding (by < 0), cropping, slicing."""
    return Window(1, (range(by, by + 1),))


class Sliding(NamedTuple):
    """A window that slides: convolution and pooling.

    Sizes in units of the input: `kernel` taps, `dilation` apart, every `stride`, over an input
    with `before` and `after` units of padding. `ceil` rounds the output size up, as pooling's
    ceil_mode does, but starts no window in the padding behind the input.
    """

    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0
    ceil: bool = False

    @property
    def extent(self) -> int:
        """From the first tap to the last: dilation · (kernel − 1) + 1."""
        return self.dilation * (self.kernel - 1) + 1

    def size(self, n: int) -> int:
        """The output size for an input of `n` units; below 1 where the window does not fit."""
        room = n + self.before + self.after - self.extent
        if not self.ceil:
            return room // self.stride + 1 if room >= 0 else 0
        out = -(-room // self.stride) + 1  # the last window may reach over the end
        return out - 1 if (out - 1) * self.stride >= n + self.before else out

    @property
    def window(self) -> Window:
        return _sliding(self.kernel, self.stride, self.dilation, self.before)


@lru_cache(maxsize=4096)
def _sliding(kernel: int, stride: int, dilation: int, before: int) -> Window:
    return Window(stride, (range(-before, dilation * (kernel - 1) + 1 - before, dilation),))


class Spread(NamedTuple):
    """A window that is spread out: transposed convolution."""

    kernel: int
    stride: int = 1
    dilation: int = 1
    padding: int = 0
    output_padding: int = 0

    def size(self, n: int) -> int:
        """(n − 1)·stride − 2·padding + dilation·(kernel − 1) + output_padding + 1."""
        return (n - 1) * self.stride - 2 * self.padding + self.dilation * (self.kernel - 1) + self.output_padding + 1

    @property
    def window(self) -> Window:
        return _spread(self.kernel, self.stride, self.dilation, self.padding)


@lru_cache(maxsize=4096)
def _spread(kernel: int, stride: int, dilation: int, padding: int) -> Window:
    step = dilation // gcd(dilation, stride)
    phases = []
    for phase in range(stride):
        taps = [
            (phase + padding - dilation * tap) // stride
            for tap in range(kernel)
            if (phase + padding - dilation * tap) % stride == 0
        ]
        phases.append(range(min(taps), max(taps) + 1, step) if taps else range(0))
    return Window(1, tuple(phases))


class Adaptive(NamedTuple):
    """Adaptive pooling: output unit o reads floor(o·n/out) … ceil((o+1)·n/out) − 1."""

    n: int
    out: int

    @property
    def window(self) -> Window:
        n, out = self.n, self.out
        common = gcd(n, out)
        period = out // common
        return Window(n // common, tuple(range(o * n // out, -(-(o + 1) * n // out)) for o in range(period)))


class Resize(NamedTuple):
    """Interpolation by torch's rules. `scale` = input units per output unit."""

    mode: str
    scale: Fraction
    align_corners: bool = False

    @property
    def window(self) -> Window:
        period, advance = self.scale.denominator, self.scale.numerator
        return Window(advance, tuple(self.taps(o) for o in range(period)))

    def taps(self, o: int) -> range:
        """The inputs with a weight other than 0 for output unit `o`."""
        if self.mode == "nearest":
            at = floor(o * self.scale)
            return range(at, at + 1)
        if self.mode == "nearest-exact":
            at = floor((o + Fraction(1, 2)) * self.scale)
            return range(at, at + 1)
        centre = o * self.scale if self.align_corners else (o + Fraction(1, 2)) * self.scale - Fraction(1, 2)
        first, last = floor(centre), ceil(centre)
        if self.mode == "bicubic" and first != last:
            return range(first - 1, last + 2)
        return range(first, last + 1)
