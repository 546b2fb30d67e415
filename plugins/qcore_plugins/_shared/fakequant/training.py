"""Quantization-aware fine-tuning: the fake-quantized network learns to give what the float network gives."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from qcore.plugin import (
    CalibrationData,
    CheckFailed,
    Contract,
    FileError,
    Progress,
    Session,
    UsageError,
    counted,
    replacing,
)
from qcore_plugins._shared.fakequant.distance import Distance
from qcore_plugins._shared.fakequant.learned import Learned
from qcore_plugins._shared.fakequant.network import Network

HELD_OUT = 0.1
"""Part of the inputs that is never trained on and decides which state is the best."""
MOST_HELD_OUT = 32
ROUNDS = 8
"""How often the state is measured and kept."""
RANGES = 0.02
"""Rate of the ends of learned ranges at the start, in parts of their size."""
AVERAGED = 0.98
"""Decay of the running average of the weights, which is what is measured and kept: steps of few inputs are noisy."""


@dataclass(frozen=True)
class Settings:
    """What training depends on; two runs with equal settings on one machine give equal weights.

    Attributes:
        steps: How many.
        batch: Inputs a step, over all processes.
        rate: Of the weights at the start.
        seed: Of the order of the inputs and their flips.
        ranges: How the first ranges were found, and whether they are learned.
        state: File to keep the training's state in.
    """

    steps: int
    batch: int
    rate: float
    seed: int
    ranges: tuple[str, ...] = ()
    state: Path | None = None

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or not self.rate > 0:
            raise UsageError(
                f"training needs steps, batch and rate above 0, not {self.steps}, {self.batch}, {self.rate}"
            )


@dataclass
class Trained:
    """What training ended with.

    Attributes:
        state: Parameters and buffers of the best state.
        first: Its loss on the held-out inputs before training.
        best: And at the best state.
        step: Steps that the best state had behind it.
        figure: Of the judge at the best state, where there is one.
    """

    state: dict[str, torch.Tensor] = field(repr=False)
    first: float
    best: float
    step: int
    figure: float | None = None


def train(
    students: Sequence[Network],
    teacher: Network,
    contract: Contract,
    data: CalibrationData,
    settings: Settings,
    progress: Progress,
    session: Callable[[], Session] | None = None,
) -> Trained:
    """Distil the float network into the fake-quantized one, in place.

    The loss is `Distance`. AdamW with a cosine; inputs in an order drawn anew for each step, half of
    them, if they are pictures, mirrored.
    Under torchrun each process takes its part of every batch, and the result is that of one process but for rounding.

    Args:
        students: The network with quantizers inserted, once for each placement it shall serve; they share their
            parameters and are trained in turns. Their outputs are the contract's.
        teacher: The float network.
        contract: Says what the outputs mean.
        data: Inputs; labels are not needed.
        settings: See there.
        progress: Shows step and loss.
        session: Makes a session of the student, for the data's judge.

    Raises:
        CheckFailed: The loss is not a number any more.
        FileError: The state file is of another training.
        UsageError: Fewer inputs than can be held out and trained on, or a batch that the processes cannot share.
    """
    with _group() as group:
        return _Training(students, teacher, contract, data, settings, progress, group, session).run()


def _widths(contract: Contract, names: Sequence[str]) -> list[int]:
    """The axis that is mirrored in each input; none where an input is no picture."""
    layouts = {tensor.name: tensor.layout or "" for tensor in contract.inputs}
    axes = [layouts[name].find("W") for name in names]
    return axes if min(axes, default=-1) >= 0 else []


class _Training:
    def __init__(
        self,
        students: Sequence[Network],
        teacher: Network,
        contract: Contract,
        data: CalibrationData,
        settings: Settings,
        progress: Progress,
        group: tuple[int, int],
        session: Callable[[], Session] | None,
    ) -> None:
        self.data, self.settings, self.progress, self.session = data, settings, progress, session
        self.rank, self.world = group
        if settings.batch % self.world:
            raise UsageError(f"a batch of {settings.batch} cannot be shared by {self.world} processes")
        self.distance = Distance(teacher.graph, contract)
        names = self.distance.tensors
        self.teacher = teacher.giving(names).eval()
        self.students = nn.ModuleList(student.giving(names).train() for student in students)
        self.device = next(self.students.parameters()).device
        self.inputs = teacher.graph.inputs
        self.widths = _widths(contract, self.inputs)
        order = torch.randperm(data.count, generator=torch.Generator().manual_seed(settings.seed)).tolist()
        held = min(MOST_HELD_OUT, max(1, round(data.count * HELD_OUT)))
        if data.count - held < 1:
            raise UsageError(
                f"{counted(data.count, 'input')}, too few to train with",
                hint="--calib takes a folder with some hundreds",
            )
        self.held, self.pool = order[:held], order[held:]
        self.distance.measure(self.teacher(*self._batch([place])) for place in self.held)
        self.optimizer = torch.optim.AdamW(self._groups(), lr=settings.rate, weight_decay=0.0)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * min(1.0, step / settings.steps)))
        )
        self.average = AveragedModel(self.students, multi_avg_fn=get_ema_multi_avg_fn(AVERAGED))  # type: ignore[no-untyped-call]
        self.running: list[nn.Module] = list(self.students)
        if self.world > 1:
            self.running = [nn.parallel.DistributedDataParallel(student) for student in self.students]

    def run(self) -> Trained:
        every = max(1, math.ceil(self.settings.steps / ROUNDS))
        known = self._resumed()
        if known is None:
            first = self._held_out()
            best = Trained(self._kept(), first, first, 0, self._judged())
            start = 0
        else:
            start, best = known
            self.progress.say(f"going on after step {start} of {self.settings.steps}")
        for step, loss in self.progress.track(self._steps(start), "training", self.settings.steps - start):
            if not math.isfinite(loss):
                raise CheckFailed(
                    f"training: the loss is {loss} after step {step}", hint="a smaller learning rate: -q rate=1e-6"
                )
            if step % every == 0 or step == self.settings.steps:
                best = self._measured(step, loss, best)
                self._save(step, best)
        self.students.load_state_dict(best.state)
        return best

    def _groups(self) -> list[dict[str, Any]]:
        """What is trained: weights at the rate of the settings, each end of a range at a part of its own size."""
        learned = (module for module in self.students.modules() if isinstance(module, Learned))
        ends = [end for module in learned for end in module.parameters()]
        ranges = {id(end) for end in ends}
        weights = [v for v in self.students.parameters() if v.requires_grad and id(v) not in ranges]
        return [{"params": weights}, *({"params": [end], "lr": RANGES * float(end.detach().abs())} for end in ends)]

    def _steps(self, start: int) -> Iterator[tuple[int, float]]:
        for step in range(start, self.settings.steps):
            draw = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + step)
            chosen = torch.randint(len(self.pool), (self.settings.batch,), generator=draw).tolist()
            mirrored = torch.rand(self.settings.batch, generator=draw) < 0.5
            mine = slice(self.rank, None, self.world)
            batch = self._batch([self.pool[place] for place in chosen[mine]], mirrored[mine])
            with torch.no_grad():
                wanted = self.teacher(*batch)
            loss = self.distance(self.running[step % len(self.running)](*batch), wanted)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            self.schedule.step()
            self.average.update_parameters(self.students)
            yield step + 1, self._mean(float(loss.detach()))

    def _batch(self, places: Sequence[int], mirrored: torch.Tensor | None = None) -> list[torch.Tensor]:
        arrays = self.data.take(places)
        tensors = [torch.from_numpy(arrays[name]).to(self.device) for name in self.inputs]
        if mirrored is None or not self.widths:
            return tensors
        flip = mirrored.to(self.device)
        return [
            torch.where(flip.view(-1, *[1] * (tensor.dim() - 1)), tensor.flip(axis), tensor)
            for tensor, axis in zip(tensors, self.widths, strict=True)
        ]

    @torch.no_grad()
    def _held_out(self) -> float:
        losses = []
        averaged: Any = self.average.module
        for place in self.held:
            batch = self._batch([place])
            wanted = self.teacher(*batch)
            losses += [float(self.distance(student(*batch), wanted)) for student in averaged]
        return sum(losses) / len(losses)

    def _judged(self) -> float | None:
        """The judge's figure of the averaged weights, which the students hold meanwhile."""
        if not (self.data.judge and self.session):
            return None
        current = {name: value.detach().clone() for name, value in self.students.state_dict().items()}
        self.students.load_state_dict(self._kept())
        try:
            return self.data.judge(self.session())
        finally:
            self.students.load_state_dict(current)

    def _measured(self, step: int, loss: float, best: Trained) -> Trained:
        held, figure = self._held_out(), self._judged()
        rate = self.schedule.get_last_lr()[0]
        also = "" if figure is None else f", judged {figure:.4f}"
        self.progress.say(
            f"step {step} of {self.settings.steps}: loss {loss:.5f}, held out {held:.5f} "
            f"(before training {best.first:.5f}){also}, rate {rate:.1e}"
        )
        better = held < best.best if figure is None or best.figure is None else figure > best.figure
        return Trained(self._kept(), best.first, held, step, figure) if better else best

    def _kept(self) -> dict[str, torch.Tensor]:
        return {name: value.detach().clone() for name, value in self.average.module.state_dict().items()}

    def _mean(self, value: float) -> float:
        if self.world == 1:
            return value
        shared = torch.tensor(value, device=self.device)
        distributed.all_reduce(shared)
        return float(shared) / self.world

    def _identity(self) -> str:
        """Of a training: its settings, inputs, float weights, and where it quantizes.

        First ranges count by how they were found: computed again elsewhere, they may differ in a last bit.
        """
        settings = self.settings
        facts = [settings.steps, settings.batch, settings.rate, settings.seed, settings.ranges, self.data.sha256]
        places = sorted((name, *value.shape) for name, value in self.students.state_dict().items())
        digest = hashlib.sha256(json.dumps([*facts, places]).encode())
        for name, value in self.teacher.state_dict().items():
            digest.update(name.encode())
            digest.update(value.cpu().numpy().tobytes())
        return digest.hexdigest()

    def _save(self, step: int, best: Trained) -> None:
        if self.settings.state is None or self.rank:
            return
        kept = {
            "identity": self._identity(),
            "step": step,
            "students": self.students.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "best": vars(best),
        }
        with replacing(self.settings.state) as path, path.open("wb") as stream:
            torch.save(kept, stream)

    def _resumed(self) -> tuple[int, Trained] | None:
        path = self.settings.state
        if path is None or not path.exists():
            return None
        try:
            kept: Mapping[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
            known = kept["identity"]
        except Exception as error:
            raise FileError(f"{path}: not the state of a training", hint="remove it to train anew") from error
        if known != self._identity():
            raise FileError(
                f"{path}: the state of another training (other settings, inputs or model)",
                hint="remove it to train anew, or give the settings it was begun with",
            )
        self.students.load_state_dict(kept["students"])
        self.average.load_state_dict(kept["average"])
        self.optimizer.load_state_dict(kept["optimizer"])
        self.schedule.load_state_dict(kept["schedule"])
        return int(kept["step"]), Trained(**kept["best"])


@contextlib.contextmanager
def _group() -> Iterator[tuple[int, int]]:
    """Rank and number of processes; joined where torchrun started this one."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield 0, 1
        return
    ours = not distributed.is_initialized()
    if ours:
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield distributed.get_rank(), distributed.get_world_size()
    finally:
        if ours:
            distributed.destroy_process_group()
