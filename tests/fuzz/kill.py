"""`python tests/fuzz/kill.py COUNT [--seed N]`: commands that are killed with SIGKILL at random moments, as a table.

After each kill, every file under its final name is whole (as of a run that nobody killed), and what is beside it is
clearly temporary. The same command, run again, gives the files of the run that nobody killed, and nothing temporary.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from qcore_plugins.tools.demo import shapes
from qcore_plugins.tools.demo.command import CHECKPOINT

EARLIEST = 0.3
"""Seconds that Python takes to start: earlier there is nothing to break."""


@dataclass
class Command:
    """One command.

    Attributes:
        name: What it is called.
        arguments: With {out} for the folder of its results.
        again: Further arguments of the run after a kill, if something was kept.
        varying: Suffixes of files in which times stand: they are compared by being whole alone.
        kept: Suffixes of files that a killed run leaves for the next one on purpose.
    """

    name: str
    arguments: tuple[str, ...]
    again: tuple[str, ...] = ()
    varying: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    seconds: float = 0.0
    files: dict[str, bytes] = field(default_factory=dict)


def run(command, out, *more, moment=None):
    """The exit code; None where it was killed after so many seconds."""
    call = [sys.executable, "-m", "qcore", *(word.format(out=out) for word in command.arguments), *more, "--quiet"]
    process = subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        return process.wait(moment)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()
        return None


def found(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def faults(command, files, *, ended):
    """What is wrong with the files of a run, in words."""
    for name, content in files.items():
        temporary = any(part.startswith(".qcore-") for part in Path(name).parts)
        kept = name.endswith(command.kept) if command.kept else False
        if temporary or kept:
            if ended:
                yield f"{name} is left"
        elif name not in command.files:
            yield f"{name} is no file of this command"
        elif name.endswith(command.varying) if command.varying else False:
            if name.endswith(".json"):
                json.loads(content)
            elif not content.rstrip().endswith(b"</html>"):
                yield f"{name} is half-written"
        elif content != command.files[name]:
            yield f"{name} is another"
    if ended and (missing := sorted(set(command.files) - set(files))):
        yield f"{missing[0]} is missing"


def commands(folder):
    """Those that write, on the bundled detector."""
    shapes.write(folder / "pictures", 12, seed=99)
    images, labels = str(folder / "pictures" / "images"), str(folder / "pictures" / "instances.json")
    model = str(folder / "float" / "shapes.onnx")
    export = ("export", str(CHECKPOINT), "--to", "onnx", "--imgsz", "96", "-o")
    subprocess.run([sys.executable, "-m", "qcore", *export, str(folder / "float"), "--quiet"], check=True)
    quantize = ("quantize", model, "--calib", images, "--backend", "onnxruntime")
    trained = ("quantize", str(CHECKPOINT), "--imgsz", "96", "--calib", images, "--backend", "onnxruntime", "--qat")
    training = ("--quantizer", "pytorch-quantization", "-q", "steps=6", "-q", "batch=2", "-o", "{out}")
    return [
        Command("export", (*export, "{out}")),
        Command("quantize", (*quantize, "--quantizer", "onnxruntime", "-o", "{out}")),
        Command("quantize --qat", (*trained, *training), kept=(".training",)),
        Command("predict -o", ("predict", model, images, "-o", "{out}/r.json"), ("--resume",), kept=(".partial",)),
        Command("eval --report", ("eval", model, "--data", labels, "--report", "{out}"), varying=(".html", ".json")),
    ]


def tried(command, count, generator, folder):
    """(kills, finished before, files whole after the kill, the same after the next run, faults in words)."""
    counts, told = [0, 0, 0, 0], []
    for number in range(count):
        out = folder / f"{number}"
        out.mkdir()
        moment = generator.uniform(EARLIEST, command.seconds)
        killed = run(command, out, moment=moment) is None
        counts[0 if killed else 1] += 1
        wrong = list(faults(command, found(out), ended=not killed))
        counts[2] += not wrong
        kept = [name for name in found(out) if command.kept and name.endswith(command.kept)]
        code = run(command, out, *(command.again if kept else ()))
        after = list(faults(command, found(out), ended=True)) if code == 0 else [f"the next run ends with {code}"]
        counts[3] += not after
        told += [f"{command.name}, killed after {moment:.2f} s: {each}" for each in (*wrong, *after)]
        shutil.rmtree(out)
    return counts, told


def main(arguments=None):
    """Print a row for each command; exit code 1 where something was wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only")
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="kill-"))
    chosen = [each for each in commands(folder) if options.only in (None, each.name)]
    generator, told = random.Random(options.seed), []
    heads = ("command", "killed", "ended before", "whole after it", "the same after the next run", "s")
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for place, command in enumerate(chosen):
        begun = time.monotonic()
        whole = folder / "whole"
        whole.mkdir()
        if (code := run(command, whole)) != 0:
            raise SystemExit(f"{command.name} ends with {code}")
        command.seconds, command.files = time.monotonic() - begun, found(whole)
        command.files = {name: data for name, data in command.files.items() if not name.endswith(command.kept or "-")}
        shutil.rmtree(whole)
        share = options.count // len(chosen) + (place < options.count % len(chosen))
        counts, wrong = tried(command, share, generator, folder)
        told += wrong
        print(f"| {command.name} | {' | '.join(map(str, counts))} | {time.monotonic() - begun:.0f} |", flush=True)
    print("\n".join(told), file=sys.stderr)
    shutil.rmtree(folder)
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
