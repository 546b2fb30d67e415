"""What `qcore predict --save` writes: a picture for each input, one file for each recording."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from fnmatch import fnmatch
from pathlib import Path
from types import TracebackType
from typing import Any

from qcore.plugin import UsageError, replacing
from qcore_kit.recordings import Recording
from qcore_kit.results import Films, Results


class Drawings:
    """Drawings of inputs into a folder; a file is there when it is whole."""

    def __init__(
        self,
        folder: Path,
        results: Results,
        suffix: str,
        parts: Sequence[Any],
        sources: Sequence[str],
        stride: int = 1,
    ) -> None:
        """Prepare.

        Args:
            folder: Where they go.
            results: What draws.
            suffix: Of the drawing of one input.
            parts: All inputs and recordings that may come.
            sources: What they were given as: paths, folders, patterns.
            stride: Every so many items of a recording come: its drawing is played that much slower.

        Raises:
            UsageError: A drawing would take the place of an input, or be one of the next run over the same sources.
        """
        self._folder, self._results, self._suffix, self._stride = folder, results, suffix, stride
        self._film: Any = results.film if isinstance(results, Films) else None
        self._protect(parts, sources)
        self._taken: set[str] = set()
        self._recording: Recording | None = None
        self._skipped: Recording | None = None
        self._open = ExitStack()
        self._frames: Any = None
        self._shown = 0
        self._rate: float | None = None

    @property
    def films(self) -> bool:
        """Whether a recording is drawn into one file."""
        return self._film is not None

    def begin(self, part: Any) -> None:
        """The next drawings are of that part: one that is over is published."""
        if part is not self._recording:
            self._open.close()
            self._recording = self._frames = None

    def skip(self, part: Any, name: str) -> None:
        """An input that an earlier run has drawn: nothing else gets the name of its drawing."""
        if not (self._film and isinstance(part, Recording)):
            _free(Path(name).stem, self._taken)
        elif part is not self._skipped:
            _free(part.stem, self._taken)
            self._skipped = part

    def add(self, item: Any, raw: Any, result: Any) -> None:
        """Draw the next input; items of one recording come one after another."""
        recording = getattr(item, "recording", None) if self._film else None
        self.begin(recording)
        if recording is None:
            with replacing(self._folder / f"{_free(Path(str(item)).stem, self._taken)}{self._suffix}") as drawing:
                self._results.draw(raw, result, drawing)
            return
        if self._frames is None:
            rate = None if recording.rate is None else recording.rate / self._stride
            stem = _free(recording.stem, self._taken)
            self._frames = self._open.enter_context(self._film(self._folder, stem, rate))
            self._recording, self._shown, self._rate = recording, 0, rate
        self._wait(item)
        self._frames.add(raw, result)
        self._shown += 1

    def _wait(self, item: Any) -> None:
        """Show the last item until it is time for this one: what has gaps or no constant rate keeps its duration."""
        time, hold = getattr(item, "time", None), getattr(self._frames, "hold", None)
        if time is None or hold is None or not self._rate or not self._shown:
            return
        while self._shown < round(time * self._rate):
            hold()
            self._shown += 1

    def __enter__(self) -> Drawings:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def _suffixes(self, part: Any) -> tuple[str, ...]:
        """Of what may be drawn of it; plugins choose that of a film, so that its own is among them."""
        return tuple({".mp4", ".avi", Path(str(part)).suffix}) if isinstance(part, Recording) else (self._suffix,)

    def _protect(self, parts: Sequence[Any], sources: Sequence[str]) -> None:
        taken: set[str] = set()
        targets = set()
        for part in parts:
            stem = _free(part.stem if isinstance(part, Recording) else Path(str(part)).stem, taken)
            targets |= {(self._folder / f"{stem}{suffix}").resolve() for suffix in self._suffixes(part)}
        for part in parts:
            if Path(str(part)).resolve() in targets:
                raise UsageError(
                    f"{part} would be overwritten by its drawing", hint="choose another folder with --save DIR"
                )
        if any(_lists(source, target) for source in sources for target in targets):
            raise UsageError(
                f"--save {self._folder}: the next run over {' '.join(sources)} would read the drawings as inputs",
                hint="choose another folder with --save DIR",
            )


def _lists(source: str, file: Path) -> bool:
    """Whether a folder, which stands for all below it, or a pattern stands for a file that will be there."""
    path = Path(source)
    if path.exists():
        return path.is_dir() and path.resolve() in file.parents
    pattern = path.absolute()
    if "**" in pattern.parts:
        return fnmatch(str(file), str(pattern).replace("**/", "*"))
    return len(pattern.parts) == len(file.parts) and all(map(fnmatch, file.parts, pattern.parts))


def _free(stem: str, taken: set[str]) -> str:
    """A name not used yet in this run: two folders may hold pictures of one name."""
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    taken.add(name)
    return name
