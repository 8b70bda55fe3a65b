"""roi_align: averages of samples in the bins of boxes."""

from typing import ClassVar

from pydantic import Field

from cnnplan.ops.base import Argument, Module, Shape, plain
from cnnplan.ops.fields import Flag, Size
from cnnplan.ops.roi_pool import RegionPool


class RoiAlign(RegionPool):
    """Average pooling of each box without rounding: a bin gives the mean of evenly spaced bilinear samples.

    Boxes are x1, y1, x2, y2; `spatial_scale` makes them units of the map. No gradient passes to them. Samples further
    than one unit outside the map are 0. Every box has as many; torchvision's own default is more for large ones.
    It runs torchvision's kernel where that is installed, whose memory is planned, and the same in plain torch
    elsewhere.

    Source: He et al. 2017, arXiv:1703.06870; torchvision.ops.roi_align.
    """

    kind: ClassVar[str] = "roi_align"
    formulas: ClassVar[dict[str, str]] = {
        "output": "output_size for each channel and box",
        "flops": "prod(output) * 8 * sampling_ratio * sampling_ratio: 7 for a bilinear sample, 1 for the mean",
    }

    sampling_ratio: Size = Field(2, description="samples along each axis of a bin")
    aligned: Flag = Field(False, description="shift the boxes by half a unit, to where the units' centres are")

    def flops(self, *xs: Shape) -> int:
        return 8 * self.sampling_ratio**2 * self.output(*xs).numel

    def torch(self, *xs: Shape) -> Module:
        size = (Argument("output_size", plain(self.output_size)),)
        return Module("RoiAlign", size + self.options("spatial_scale", "sampling_ratio", "aligned"))
