"""Examples for the conformance checks."""

from __future__ import annotations

from qcore_kit.testing import ProfileConformance


class TestMynet(ProfileConformance):
    """The profile, on the graphs that the runtime has to run; take `blocks` out for all of them."""

    component = "mynet"
    blocks = ("resize_nearest", "matmul", "splits", "sums", "max_pool_with_pads", "grouped_convolution")
