"""Windows: which inputs an output unit reads along one axis.

`Window` is the quasi-affine index map of every local operation: output unit P·q + r (P phases)
reads the inputs A·q + t for the taps t of phase r. A plain convolution has one phase; a transposed
convolution with stride s has s. The rules below (`Sliding`, `Spread` …) give the output size and
this map from the same numbers, so a layer and its receptive field cannot disagree.

Source: Dumoulin & Visin 2016, arXiv:1603.07285; Araujo, Norris & Sim 2019,
doi:10.23915/distill.00021; the documentation of torch.nn.
"""

from collections.abc import Collection, Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor, gcd
from typing import Any, NamedTuple

MAX_EDGES = 1 << 20
"""Windows of more taps are not counted tap by tap."""

MAX_LISTED = 4_096
"""Longer periods are not listed phase by phase, but asked for one by one."""


class Many(Sequence[range]):
    """The phases of a long period: each is computed when it is asked for."""

    def __init__(self, rule: "Spread | Adaptive | Resize", count: int) -> None:
        self.rule = rule
        self.period = count

    def __len__(self) -> int:
        return self.period

    def __getitem__(self, phase: Any) -> Any:
        if isinstance(phase, slice) or not 0 <= phase < self.period:
            raise IndexError(phase)
        return self.rule.taps(phase)

    def __hash__(self) -> int:
        return hash((self.rule, self.period))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Many) and (self.rule, self.period) == (other.rule, other.period)


def listed(rule: "Spread | Adaptive | Resize", count: int) -> "tuple[range, ...] | Many":
    """The phases of a rule: a tuple of its taps, unless they are too many."""
    return tuple(rule.taps(phase) for phase in range(count)) if count <= MAX_LISTED else Many(rule, count)


class Window(NamedTuple):
    """The inputs that an output unit reads along one axis.

    Attributes:
        advance: how far the read inputs move from one period of output units to the next.
        phases: for each unit of a period, the inputs read relative to `advance` · period.
        source: the input's spatial axis that is read; None = the same as the output's.
        beyond: what is read beyond the ends of the input: "" = nothing of it, or its own units, by
            the padding modes "reflect", "replicate" and "circular".

    `WHOLE` stands for an axis that is read from end to end by every unit, `PAST` for one that is read from its
    first unit to that of the same number, `FUTURE` from there to its last, `around(n)` for one that units are
    added to: each of them reads it from end to end, the others nothing.
    """

    advance: int
    phases: tuple[range, ...] | Many
    source: int | None = None
    beyond: str = ""

    def reads(self, unit: int, size: int) -> Collection[int]:
        """The inputs that `unit` reads, padding left out, where the input has `size` units."""
        if not self.phases:
            if self.beyond:
                return range(0 if self.advance <= unit < self.advance + size else size)
            return range(unit if self.advance < 0 else 0, min(unit + 1, size) if self.advance > 0 else size)
        period, phase = divmod(unit, len(self.phases))
        taps = self.phases[phase]
        start, step = taps.start + self.advance * period, taps.step
        stop = taps.stop + self.advance * period
        if self.beyond:
            return {folded(index, size, self.beyond) for index in range(start, stop, step)}
        if start < 0:
            start += -(start // step) * step
        return range(start, max(start, min(stop, size)), step)

    def units(self, out: int, size: int) -> int:
        """The inputs that any of several units reads: both are sets, with bit i for unit i.

        Args:
            out: the output units.
            size: how many units the input has.
        """
        whole = (1 << size) - 1
        if not self.phases:
            seen = whole if out else 0
            if self.beyond:
                return whole if out & ~(whole << self.advance) else 0
            if self.advance > 0:
                seen &= (1 << out.bit_length()) - 1
            return seen & -(out & -out) if self.advance < 0 else seen
        period = len(self.phases)
        if period > MAX_LISTED:
            found = 0
            for unit in _bits(out):
                for index in self.reads(unit, size):
                    found |= 1 << index
            return found
        found = shift = 0
        furthest = self.advance * ((out.bit_length() - 1) // period)
        for phase, every in enumerate(self.phases):
            first = _stepped(out, phase, period, self.advance)
            if not first:
                continue
            # taps that reach no unit at all are left out, however many there are
            taps = every if self.beyond else _between(every, -furthest, size)
            if taps and -taps.start > shift:
                found <<= -taps.start - shift
                shift = -taps.start
            for tap in taps:
                found |= first << (tap + shift)
        inside = (found >> shift) & whole
        if self.beyond:
            for index in _bits(found & ((1 << shift) - 1)):
                inside |= 1 << folded(index - shift, size, self.beyond)
            for index in _bits(found >> (shift + size)):
                inside |= 1 << folded(index + size, size, self.beyond)
        return inside

    def edges(self, out: int, size: int) -> int | None:
        """How often all of `out` units together read one of `size` inputs, padding left out; None of long periods."""
        if self == WHOLE:
            return out * size
        if not self.phases:
            least = min(out, size)
            return least * (least + 1) // 2 + (out - least) * size
        period = len(self.phases)
        if period > MAX_LISTED or sum(map(len, self.phases)) > MAX_EDGES:
            return None
        total = 0
        for phase, taps in enumerate(self.phases):
            count = (out - phase + period - 1) // period
            if self.beyond:
                total += count * len(taps)
                continue
            for tap in taps:
                if self.advance:
                    first = max(0, -(tap // self.advance))
                    last = min(count - 1, (size - 1 - tap) // self.advance)
                    total += max(0, last - first + 1)
                else:
                    total += count * (0 <= tap < size)
        return total


def _between(taps: range, start: int, stop: int) -> range:
    """The taps from `start` to `stop`, not included."""
    skipped = max(0, -((taps.start - start) // taps.step))
    first = taps.start + skipped * taps.step
    return range(first, max(first, min(taps.stop, stop)), taps.step)


def _stepped(units: int, phase: int, period: int, advance: int) -> int:
    """The units phase + period · q as the set of all advance · q."""
    if period == 1 and advance == 1:
        return units
    found = 0
    for unit in _bits(units):
        if unit % period == phase:
            found |= 1 << (unit // period * advance)
    return found


def _bits(units: int) -> Iterator[int]:
    """The members of a set of units, in order."""
    text = bin(units)[:1:-1]
    at = text.find("1")
    while at >= 0:
        yield at
        at = text.find("1", at + 1)


def folded(index: int, size: int, beyond: str) -> int:
    """The input unit that a padding mode puts at a place before the first or behind the last unit."""
    if beyond == "circular":
        return index % size
    if beyond == "reflect":
        return -index if index < 0 else 2 * (size - 1) - index if index >= size else index
    return min(max(index, 0), size - 1)


POINTWISE = Window(1, (range(1),))
WHOLE = Window(0, ())
PAST = Window(1, ())
FUTURE = Window(-1, ())
FIRST = Window(0, (range(1),))
"""A unit that is broadcast."""


def around(before: int) -> Window:
    """The units added before the first, of which there are so many, and behind the last read every unit."""
    return Window(before, (), None, "mean")


def shifted(by: int, beyond: str = "") -> Window:
    """Output unit o reads input o + by: padding (by < 0), cropping, slicing."""
    return Window(1, (range(by, by + 1),), None, beyond)


def grouped(inputs: int, outputs: int, groups: int) -> Window:
    """Channels in groups that do not see each other: an output reads all inputs of its group."""
    if groups == 1:
        return WHOLE
    if outputs // groups > MAX_EDGES:  # a bound, where a list of them would take more memory than there is
        return WHOLE
    return Window(inputs // groups, (range(inputs // groups),) * (outputs // groups))


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
        out = self.up(n)  # the last window may reach over the end
        return out - 1 if (out - 1) * self.stride >= n + self.before else out

    def up(self, n: int) -> int:
        """The output size rounded up, whatever the last window reads."""
        return -(-(n + self.before + self.after - self.extent) // self.stride) + 1

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

    def taps(self, phase: int) -> range:
        """The inputs of unit `phase` of a period: (phase + padding - dilation · t) / stride for the taps t < kernel.

        Those t for which it is a whole number are every `period`-th, where there are any.
        """
        common = gcd(self.dilation, self.stride)
        at = phase + self.padding
        if at % common:
            return range(0)
        period = self.stride // common
        first = at // common * pow(self.dilation // common, -1, period) % period if period > 1 else 0
        count = (self.kernel - 1 - first) // period + 1
        if count < 1:
            return range(0)
        step = self.dilation // common
        highest = (at - self.dilation * first) // self.stride
        return range(highest - step * (count - 1), highest + 1, step)


@lru_cache(maxsize=4096)
def _spread(kernel: int, stride: int, dilation: int, padding: int) -> Window:
    return Window(1, listed(Spread(kernel, stride, dilation, padding), stride))


class Adaptive(NamedTuple):
    """Adaptive pooling: output unit o reads floor(o·n/out) … ceil((o+1)·n/out) − 1."""

    n: int
    out: int

    @property
    def window(self) -> Window:
        n, out = self.n, self.out
        common = gcd(n, out)
        period = out // common
        return Window(n // common, listed(self, period))

    def taps(self, o: int) -> range:
        """The inputs of output unit `o`."""
        return range(o * self.n // self.out, -(-(o + 1) * self.n // self.out))

    @property
    def reads(self) -> int:
        """How many inputs all outputs read together: n + out - gcd(n, out)."""
        return self.n + self.out - gcd(self.n, self.out)


class Resize(NamedTuple):
    """Interpolation by torch's rules. `scale` = input units per output unit."""

    mode: str
    scale: Fraction
    align_corners: bool = False

    @property
    def window(self) -> Window:
        period, advance = self.scale.denominator, self.scale.numerator
        return Window(advance, listed(self, period))

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
