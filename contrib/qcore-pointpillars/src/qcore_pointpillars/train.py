"""Train PointPillars on scenes that are made up, and write some.

python -m qcore_pointpillars.train car.pt                     # ten minutes of one core
python -m qcore_pointpillars.train --scenes data --count 60   # clouds and labels that were not trained on
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from torch.nn import functional

from qcore_pointpillars.boxes import anchors, direction, encode
from qcore_pointpillars.loader import CONFIG, KEY, contract, grid
from qcore_pointpillars.network import PointPillars
from qcore_pointpillars.pillars import Pillars
from qcore_pointpillars.scenes import scene, write

POSITIVE, NEGATIVE = 0.6, 0.45
"""Overlaps from which an anchor is a car, and up to which it is none; the paper's, for cars."""
TRAINED = 1_000_000
"""First seed of scenes to train on; those that `--scenes` writes have lower ones."""


def targets(boxes, anchor):
    """Class (1 car, 0 none, -1 undecided), offsets and direction bin of each anchor."""
    labels, offsets = np.zeros(len(anchor), np.int64), np.zeros((len(anchor), 7), np.float32)
    bins = np.zeros(len(anchor), np.int64)
    if not len(boxes):
        return labels, offsets, bins
    one, other = _upright(anchor)[:, None], _upright(boxes)[None]
    shared = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    shared = shared.clip(0).prod(-1)
    iou = shared / (anchor[:, 3:5].prod(1)[:, None] + boxes[:, 3:5].prod(1)[None] - shared)
    owner, best = iou.argmax(1), iou.max(1)
    labels[best > NEGATIVE] = -1
    labels[best >= POSITIVE] = 1
    for number, place in enumerate(iou.argmax(0)):
        labels[place], owner[place] = 1, number
    cars = labels == 1
    offsets[cars], bins[cars] = encode(boxes[owner[cars]], anchor[cars]), direction(boxes[owner[cars], 6])
    return labels, offsets, bins


def _upright(boxes):
    """left, low, right, high of boxes turned to the nearest axis."""
    across = np.abs(np.sin(boxes[:, 6])) > np.sqrt(0.5)
    half = np.where(across[:, None], boxes[:, [4, 3]], boxes[:, [3, 4]]) / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], 1)


def loss(found, wanted):
    """Focal loss, smooth L1 with the sine of the difference of yaws, cross entropy of directions; weights 1, 2, 0.2."""
    logits, offsets, directions = found
    labels, boxes, bins = wanted
    cars = labels == 1
    count = cars.sum().clamp(min=1)
    truth = cars.float()
    entropy = functional.binary_cross_entropy_with_logits(logits[..., 0], truth, reduction="none")
    right = torch.exp(-entropy)
    focal = (0.25 * truth + 0.75 * (1 - truth)) * (1 - right) ** 2 * entropy
    yaw = torch.sin(offsets[cars][:, 6] - boxes[cars][:, 6])
    error = torch.cat([offsets[cars][:, :6] - boxes[cars][:, :6], yaw[:, None]], 1)
    place = functional.smooth_l1_loss(error, torch.zeros_like(error), beta=1 / 9, reduction="sum")
    turned = functional.cross_entropy(directions[cars], bins[cars], reduction="sum")
    return (focal[labels >= 0].sum() + 2 * place + 0.2 * turned) / count


def train(path, *, steps, batch=4, config=CONFIG, seed=0, say=print):
    """Train from nothing and write a checkpoint."""
    torch.manual_seed(seed)
    network = PointPillars(*grid(config), config["width"], config["layers"])
    torch.nn.init.constant_(network.classes.bias, -4.6)  # a score of 0.01, as the focal loss wants it
    described = contract(config)
    prepare = Pillars(described.preprocess.params, described.inputs)
    anchor = anchors(config["area"], 2 * config["cell"])
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    begun, total = time.monotonic(), 0.0
    for step in range(steps):
        arrays, wanted = [], []
        for place in range(batch):
            cloud, cars = scene(TRAINED + seed + step * batch + place, config["area"])
            arrays.append(prepare.prepare(cloud).arrays)
            wanted.append(targets(cars, anchor))
        feeds = [torch.from_numpy(np.concatenate([each[name] for each in arrays])) for name in prepare.names]
        value = loss(network(*feeds), [torch.from_numpy(np.stack(part)) for part in zip(*wanted, strict=True)])
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10)
        optimizer.step()
        schedule.step()
        total += value.item()
        if step % 50 == 49:
            say(f"step {step + 1} of {steps}: loss {total / 50:.3f}, {time.monotonic() - begun:.0f} s")
            total = 0.0
    torch.save({KEY: dict(config), "weights": network.state_dict()}, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("checkpoint", nargs="?", help="to write")
    parser.add_argument("--steps", type=int, default=1200, help="of four scenes each (default: 1200)")
    parser.add_argument("--scenes", help="folder to write clouds and labels into")
    parser.add_argument("--count", type=int, default=60, help="how many (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="of the first of them (default: 0)")
    parser.add_argument("--glints", type=float, default=0.0, help="share of them with one far too bright return")
    options = parser.parse_args()
    if options.scenes:
        print(write(options.scenes, options.count, options.seed, CONFIG["area"], glints=options.glints))
    if options.checkpoint:
        torch.set_num_threads(1)
        train(options.checkpoint, steps=options.steps)


if __name__ == "__main__":
    main()
