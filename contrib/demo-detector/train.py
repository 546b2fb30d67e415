"""Trains the detector that `qcore demo` runs: the YOLOv5 architecture on generated pictures, from scratch, on a CPU.

    python contrib/demo-detector/train.py plugins/qcore_plugins/tools/demo/shapes.pt

About 30 minutes on two cores; convolutions are computed in bfloat16. The file is a plain dictionary, which
`torch.load(path, weights_only=True)` reads.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from qcore.plugin import Tensor as TensorSpec
from qcore_kit.detectors.contracts import LETTERBOX
from qcore_plugins.families.yolov5.network import YoloV5
from qcore_plugins.processing.letterbox.preprocessor import Letterbox
from qcore_plugins.tools.demo.shapes import NAMES, scene

IMGSZ, BATCH, SEED = 416, 16, 20261121
CONFIG = {
    "nc": len(NAMES), "depth_multiple": 0.33, "width_multiple": 0.25, "ch": 3,
    "anchors": [[18, 18, 34, 22, 22, 34], [47, 47, 80, 52, 52, 80], [110, 110, 190, 125, 125, 190]],
    "backbone": [
        [-1, 1, "Conv", [64, 6, 2, 2]], [-1, 1, "Conv", [128, 3, 2]], [-1, 3, "C3", [128]],
        [-1, 1, "Conv", [256, 3, 2]], [-1, 6, "C3", [256]], [-1, 1, "Conv", [512, 3, 2]], [-1, 9, "C3", [512]],
        [-1, 1, "Conv", [384, 3, 2]], [-1, 3, "C3", [384]], [-1, 1, "SPPF", [384, 5]],
    ],
    "head": [
        [-1, 1, "Conv", [512, 1, 1]], [-1, 1, "nn.Upsample", ["None", 2, "nearest"]], [[-1, 6], 1, "Concat", [1]],
        [-1, 3, "C3", [512, False]], [-1, 1, "Conv", [256, 1, 1]], [-1, 1, "nn.Upsample", ["None", 2, "nearest"]],
        [[-1, 4], 1, "Concat", [1]], [-1, 3, "C3", [256, False]], [-1, 1, "Conv", [256, 3, 2]],
        [[-1, 14], 1, "Concat", [1]], [-1, 3, "C3", [512, False]], [-1, 1, "Conv", [512, 3, 2]],
        [[-1, 10], 1, "Concat", [1]], [-1, 3, "C3", [384, False]], [[17, 20, 23], 1, "Detect", ["nc", "anchors"]],
    ],
}  # fmt: skip
MATCH = 3.0
"""An anchor answers for a box whose sides are within this factor of its own; 2 sigmoid squared reaches 4."""


def batches(steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Pictures `[B, 3, S, S]` and boxes `[N, 6]`: place in the batch, class, cx, cy, w, h in pixels."""
    letterbox = Letterbox(LETTERBOX, [TensorSpec("images", "float32", (1, 3, IMGSZ, IMGSZ))])
    for step in range(steps):
        pictures, boxes = [], []
        for place in range(BATCH):
            made = scene(SEED, step * BATCH + place)
            tensor, geometry = letterbox(made.picture)
            xyxy = geometry.to_tensor(made.xyxy)
            centre, size = (xyxy[:, :2] + xyxy[:, 2:]) / 2, xyxy[:, 2:] - xyxy[:, :2]
            first = np.full((len(xyxy), 1), place)
            boxes.append(np.concatenate((first, made.class_id[:, None], centre, size), 1))
            pictures.append(tensor)
        yield torch.from_numpy(np.concatenate(pictures)), torch.from_numpy(np.concatenate(boxes)).float()


def loss(levels: list[Tensor], boxes: Tensor, network: YoloV5) -> Tensor:
    """Complete-IoU for matched boxes, binary cross-entropy for objectness (towards the IoU) and for classes.

    A box is matched on each level to the anchors of like shape, at its own cell and the two nearest neighbours:
    the decode reaches half a cell beyond each side.
    """
    device = boxes.device
    total = torch.zeros((), device=device)
    for level, anchor, stride, weight in zip(
        levels, network.detect.anchors, network.strides, (4.0, 1.0, 0.4), strict=True
    ):
        ny, nx = level.shape[2:4]
        target = torch.zeros(level.shape[:4], device=device)
        cells = boxes[:, 2:] / stride
        ratio = cells[:, None, 2:] / anchor[None]
        row, which = (torch.maximum(ratio, 1 / ratio).amax(-1) < MATCH).nonzero(as_tuple=True)
        centre = cells[row, :2]
        own, part = centre.floor(), centre.frac()
        step = torch.where(part < 0.5, -1.0, 1.0)
        across = torch.stack((step[:, 0], torch.zeros_like(step[:, 0])), 1)
        down = torch.stack((torch.zeros_like(step[:, 1]), step[:, 1]), 1)
        place = torch.cat((own, own + across, own + down))
        row, which = row.repeat(3), which.repeat(3)
        inside = ((place >= 0) & (place < torch.tensor((nx, ny), device=device))).all(1)
        place, row, which = place[inside].long(), row[inside], which[inside]
        if len(row):
            image = boxes[row, 0].long()
            given = level[image, which, place[:, 1], place[:, 0]]
            s = given[:, :4].sigmoid()
            made = torch.cat((s[:, :2] * 2 - 0.5 + place, (s[:, 2:] * 2) ** 2 * anchor[which]), 1)
            iou = ciou(made, cells[row])
            total = total + 0.05 * (1 - iou).mean()
            target[image, which, place[:, 1], place[:, 0]] = iou.detach().clamp(0)
            wanted = torch.zeros_like(given[:, 5:])
            wanted[torch.arange(len(row)), boxes[row, 1].long()] = 1
            total = total + 0.1 * nn.functional.binary_cross_entropy_with_logits(given[:, 5:], wanted)
        total = total + weight * nn.functional.binary_cross_entropy_with_logits(level[..., 4], target)
    return total


def ciou(a: Tensor, b: Tensor) -> Tensor:
    """Complete IoU of boxes cx, cy, w, h (Zheng et al. 2020, arXiv:1911.08287, equations 9 to 11)."""
    low_a, high_a, low_b, high_b = (
        a[:, :2] - a[:, 2:] / 2,
        a[:, :2] + a[:, 2:] / 2,
        b[:, :2] - b[:, 2:] / 2,
        b[:, :2] + b[:, 2:] / 2,
    )
    shared = (torch.minimum(high_a, high_b) - torch.maximum(low_a, low_b)).clamp(0).prod(1)
    iou = shared / (a[:, 2:].prod(1) + b[:, 2:].prod(1) - shared + 1e-7)
    diagonal = (torch.maximum(high_a, high_b) - torch.minimum(low_a, low_b)).pow(2).sum(1) + 1e-7
    distance = (a[:, :2] - b[:, :2]).pow(2).sum(1) / diagonal
    shape = 4 / math.pi**2 * (torch.atan(b[:, 2] / b[:, 3]) - torch.atan(a[:, 2] / (a[:, 3] + 1e-7))).pow(2)
    alpha = (shape / (1 - iou + shape + 1e-7)).detach()
    return iou - distance - alpha * shape


def fresh() -> YoloV5:
    """The network with its first weights: the head starts with few objects a picture."""
    torch.manual_seed(SEED)
    network = YoloV5(CONFIG, NAMES)
    for convolution, stride in zip(network.detect.m, network.strides, strict=True):
        bias = convolution.bias.detach().view(network.detect.na, -1)
        bias[:, 4] += math.log(4 / (IMGSZ / stride) ** 2)
        bias[:, 5:] += math.log(0.6 / (len(NAMES) - 0.99))
        convolution.bias = nn.Parameter(bias.reshape(-1))
    return network.train()


def average(into: nn.Module, network: nn.Module, keep: float) -> None:
    """Exponential moving average of parameters and buffers."""
    with torch.no_grad():
        for mine, new in zip(into.state_dict().values(), network.state_dict().values(), strict=True):
            if mine.is_floating_point():
                mine.lerp_(new, 1 - keep)


def train(steps: int) -> YoloV5:
    """The averaged network after `steps` batches of pictures, each seen once."""
    network, mean = fresh().to(memory_format=torch.channels_last), fresh().eval()
    decayed = [p for p in network.parameters() if p.ndim > 1]
    plain = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 5e-4}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 2e-3, total_steps=steps, pct_start=0.1, final_div_factor=100
    )
    start, seen = time.monotonic(), 0.0
    for step, (pictures, boxes) in enumerate(batches(steps)):
        with torch.autocast("cpu", torch.bfloat16):
            levels = network.raw(pictures.contiguous(memory_format=torch.channels_last))
        value = loss([level.float() for level in levels], boxes, network)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()
        schedule.step()
        average(mean, network, 0.998 * (1 - math.exp(-step / 200)))
        seen = 0.98 * seen + 0.02 * float(value.detach()) if step else float(value.detach())
        if step % 100 == 0:
            print(f"step {step}/{steps}  loss {seen:.4f}  {time.monotonic() - start:.0f} s", flush=True)
    return mean


def main() -> None:
    """Train and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=3000)
    options = parser.parse_args()
    network = train(options.steps)
    document = {
        "format": "qcore-checkpoint",
        "family": "yolov5",
        "config": CONFIG,
        "names": list(NAMES),
        "stride": [int(stride) for stride in network.strides],
        "imgsz": IMGSZ,
        "training": {"script": "contrib/demo-detector/train.py", "seed": SEED, "steps": options.steps, "batch": BATCH},
        "state_dict": {
            key: value.half() if value.is_floating_point() else value for key, value in network.state_dict().items()
        },
    }
    torch.save(document, options.out)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
