"""Scenes that are made up: what a lidar sees of a road with cars, walls, bushes and poles."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

GROUND = -1.73
"""Height of the road in metres: KITTI's lidar hangs that high above it."""
BEAMS, STEPS = 44, 260
"""Rays: elevations and azimuths, about a tenth of what KITTI's lidar has in this part."""
SEEN = 8
"""A car with fewer points is not labelled."""


def scene(seed, area, *, glints=0.0):
    """A cloud `[n, 4]` and the cars in it `[m, 7]`; the same for the same seed.

    Args:
        seed: Of everything random.
        area: x, y and z of one corner, then of the other; cars stand inside.
        glints: Share of scenes with a return that is far brighter than all others, as of a mirror or a fault.
    """
    rng = np.random.default_rng(seed)
    cars: list[np.ndarray] = []
    for _ in range(int(rng.integers(3, 9))):
        size = np.array([3.9, 1.6, 1.56]) * rng.normal(1, 0.06, 3).clip(0.85, 1.15)
        yaw = rng.choice([0, np.pi / 2, np.pi, -np.pi / 2]) + rng.normal(0, 0.15)
        x, y = rng.uniform(area[0] + 4, area[3] - 2), rng.uniform(area[1] + 2, area[4] - 2)
        if abs(y) < x and all(np.hypot(x - car[0], y - car[1]) > 5.5 for car in cars):
            cars.append(np.array([x, y, GROUND + size[2] / 2, *size, np.mod(yaw + np.pi, 2 * np.pi) - np.pi]))
    things: list[tuple[np.ndarray, int]] = []
    for number, car in enumerate(cars):
        things.append((_part(car, 1, 0, 0, 0.58), number))
        things.append((_part(car, 0.52, -0.1, 0.58, 1), number))
    for _ in range(int(rng.integers(3, 9))):
        size = rng.choice([[0.3, 0.3, 4.0], [1.5, 1.3, 1.2], [6.0, 0.4, 2.2], [0.7, 0.6, 1.7]]) * rng.uniform(0.7, 1.4)
        x, y = rng.uniform(area[0] + 4, area[3]), rng.uniform(area[1], area[4])
        if all(np.hypot(x - car[0], y - car[1]) > 3 + size[0] / 2 for car in cars):
            box = np.array([x, y, GROUND + size[2] / 2, *size, rng.uniform(-np.pi, np.pi)])
            things.append((box, -1))
    elevation = np.radians(np.linspace(-16, 2, BEAMS))[:, None]
    azimuth = np.radians(np.linspace(-45, 45, STEPS))[None] + rng.normal(0, 0.0005, (BEAMS, STEPS))
    rays = np.stack(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation) + 0 * azimuth], -1
    ).reshape(-1, 3)
    with np.errstate(divide="ignore"):
        nearest = np.where(rays[:, 2] < 0, GROUND / rays[:, 2], np.inf)
    owner = np.full(len(rays), -1)
    bright = rng.uniform(0.1, 0.35, len(rays))
    for box, number in things:
        distance = _hit(rays, box)
        closer = distance < nearest
        nearest[closer], owner[closer] = distance[closer], number
        bright[closer] = (rng.uniform(0.05, 0.9) + rng.normal(0, 0.05, len(rays)))[closer]
    there = (nearest < 60) & (rng.random(len(rays)) > 0.05)
    reach = nearest + rng.normal(0, 0.015, len(rays))
    cloud = np.concatenate([rays * np.where(there, reach, 0)[:, None], bright.clip(0, 1)[:, None]], 1)[there]
    seen = np.bincount(owner[there & (owner >= 0)], minlength=len(cars))
    labelled = np.array([car for car, count in zip(cars, seen, strict=False) if count >= SEEN]).reshape(-1, 7)
    if rng.random() < glints:
        cloud[rng.integers(len(cloud)), 3] = rng.uniform(60, 255)
    return cloud.astype(np.float32), labelled.astype(np.float32)


def _part(car, length, shift, bottom, top):
    """A part of a car: its length, shifted along it, and heights, all as shares of the car's."""
    x, y, z, whole, width, height, yaw = car
    low = z - height / 2
    along = shift * whole
    return np.array(
        [
            x + along * np.cos(yaw),
            y + along * np.sin(yaw),
            low + height * (bottom + top) / 2,
            whole * length,
            width,
            height * (top - bottom),
            yaw,
        ]
    )


def _hit(rays, box):
    """Distance at which rays from the origin enter a box, infinite where they do not: the slab method."""
    cos, sin = np.cos(box[6]), np.sin(box[6])
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    heading, start = rays @ turn, -box[:3] @ turn
    with np.errstate(divide="ignore", invalid="ignore"):
        one, other = (-box[3:6] / 2 - start) / heading, (box[3:6] / 2 - start) / heading
    enter, leave = np.minimum(one, other).max(1), np.maximum(one, other).min(1)
    return np.where((enter < leave) & (enter > 0), enter, np.inf)


def write(folder, count, seed, area, *, glints=0.0):
    """Write `count` scenes into `clouds/`, and `labels.json`: file -> boxes with a class name in front.

    Returns the path of the labels.
    """
    folder = Path(folder)
    (folder / "clouds").mkdir(parents=True, exist_ok=True)
    labels = {}
    for number in range(count):
        cloud, cars = scene(seed + number, area, glints=glints)
        cloud.astype("<f4").tofile(folder / "clouds" / f"{number:06}.bin")
        labels[f"{number:06}.bin"] = [["Car", *(round(float(value), 4) for value in car)] for car in cars]
    path = folder / "labels.json"
    path.write_text(json.dumps(labels))
    return path
