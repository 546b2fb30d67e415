"""The preprocessor `pillars`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qcore.plugin import FileError, Prepared


class Pillars:
    """Reads KITTI clouds: float32 rows of x, y, z in metres and reflectance 0..1; gives two tensors.

    `pillars` `[1, 9, P, N]`: for each point x, y, z, reflectance, its offset to the mean of its pillar (x, y, z) and to
    the pillar's centre (x, y). Positions are in units of the area, offsets in units of a pillar, those of height in
    metres, so that one scale suits all nine. A pillar with fewer than N points repeats its first one, which changes no
    maximum.
    `cells` `[1, P]`: row * columns + column of each pillar, rows * columns where there is none.

    Of too many points in a pillar those that come first stay, of too many pillars those with the most points.
    """

    def __init__(self, params, inputs):
        self.area = np.asarray(params["area"], np.float32)
        self.cell = np.float32(params["cell"])
        self.names = [tensor.name for tensor in inputs]
        self.pillars, self.points = inputs[0].shape[2:]
        self.rows, self.columns = (round(float((self.area[axis + 3] - self.area[axis]) / self.cell)) for axis in (1, 0))

    def expand(self, source):
        path = Path(source)
        found = sorted(path.glob("*.bin")) if path.is_dir() else [path]
        if not found:
            raise FileError(f"{path}: no .bin file in it", hint="name a folder of clouds as KITTI stores them")
        return found

    def read(self, item):
        try:
            data = Path(item).read_bytes()
        except OSError as error:
            raise FileError(f"{item}: cannot be read ({error.strerror})") from error
        hint = "clouds are float32 rows of x, y, z and reflectance, as KITTI stores them"
        if not data or len(data) % 16:
            raise FileError(f"{item}: {len(data)} bytes are not a cloud", hint=hint)
        cloud = np.frombuffer(data, "<f4").reshape(-1, 4)
        if not np.isfinite(cloud).all():
            raise FileError(f"{item}: holds values that are no finite numbers", hint=hint)
        return cloud

    def prepare(self, raw):
        low, high = self.area[:3], self.area[3:]
        cloud = raw[((raw[:, :3] >= low) & (raw[:, :3] < high)).all(1)].astype(np.float32)
        place = np.minimum(((cloud[:, :2] - low[:2]) / self.cell).astype(np.int64), (self.columns - 1, self.rows - 1))
        order = np.argsort(place[:, 1] * self.columns + place[:, 0], kind="stable")
        cloud, place = cloud[order], place[order]
        cells, first, owner, counts = np.unique(
            place[:, 1] * self.columns + place[:, 0], return_index=True, return_inverse=True, return_counts=True
        )
        rank = np.arange(len(cloud)) - first[owner]
        mean = np.stack([np.bincount(owner, cloud[:, axis], len(cells)) for axis in range(3)], 1) / counts[:, None]
        features = np.concatenate(
            [
                (cloud[:, :3] - low) / (high - low),
                cloud[:, 3:4],
                (cloud[:, :3] - mean[owner]) / (self.cell, self.cell, 1),
                (cloud[:, :2] - low[:2]) / self.cell - place - 0.5,
            ],
            axis=1,
        ).astype(np.float32)
        chosen = np.sort(np.argsort(-counts, kind="stable")[: self.pillars])
        slot = np.full(len(cells), -1)
        slot[chosen] = np.arange(len(chosen))
        pillars = np.zeros((self.pillars, self.points, 9), np.float32)
        pillars[: len(chosen)] = features[first[chosen]][:, None]
        fits = (rank < self.points) & (slot[owner] >= 0)
        pillars[slot[owner[fits]], rank[fits]] = features[fits]
        where = np.full((1, self.pillars), self.rows * self.columns, np.int64)
        where[0, : len(chosen)] = cells[chosen]
        tensors = np.ascontiguousarray(pillars.transpose(2, 0, 1)[None]), where
        return Prepared(dict(zip(self.names, tensors, strict=True)))

    def example(self):
        from qcore_pointpillars.scenes import scene

        return scene(0, self.area.tolist())[0]
