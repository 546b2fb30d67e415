"""Pictures of reports for docs/report.md: the commands run on the demo's detector, and their pages in a browser.

    python benchmarks/screenshots.py -o docs/images

Needs a chromium on the path (Debian: apt-get install chromium) and the `dev` extra, which has playwright. `--work DIR`
keeps the reports; a report that is there already is not made again.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from qcore.cli import main as qcore
from qcore_plugins.tools.demo import shapes
from qcore_plugins.tools.demo.command import CHECKPOINT

HEIGHT = 1600
"""CSS pixels that a picture shows at most."""
HEAVY = 190_000
"""Bytes above which a picture is kept in 256 colours."""


@dataclass(frozen=True)
class Shot:
    """One picture: which report, from which heading on (the top without one), how wide, light or dark."""

    report: str
    width: int
    scheme: str
    heading: str = ""

    @property
    def name(self) -> str:
        """Of the file."""
        part = f"-{self.heading.split()[0].lower()}" if self.heading else ""
        return f"{self.report}{part}-{self.width}-{self.scheme}.png"


SHOTS = (
    Shot("eval", 1280, "light"),
    Shot("eval", 1280, "dark", "Accuracy"),
    Shot("eval", 390, "light", "Accuracy"),
    Shot("eval", 390, "dark"),
    Shot("eval", 1280, "light", "Worst pictures"),
    Shot("quantize", 1280, "light", "Accuracy budget"),
    Shot("quantize", 390, "light"),
    Shot("compare", 1280, "light"),
    Shot("compare", 390, "dark"),
    Shot("benchmark", 1280, "dark", "Latency"),
    Shot("benchmark", 390, "dark", "Latency"),
)


def reports(folder: Path) -> None:
    """Make the reports in the current folder, so that file names on the pages are short."""
    shapes.write(Path("calib"), 48, seed=1)
    shapes.write(Path("val"), 60, seed=2)
    shutil.copy(CHECKPOINT, "shapes.pt")
    data = ["--data", "val/instances.json"]
    calibration = [
        "--calib",
        "calib/images",
        "--calib-limit",
        "2",
        "-q",
        "method=minmax",
    ]  # poor, so that layers matter
    table = ["--quantizer", "onnxruntime", "--backend", "onnxruntime"]
    calls = {
        "": ["export", "shapes.pt", "--to", "onnx", "-o", "float"],
        "quantize": ["quantize", "shapes.pt", *calibration, *table, *data, "--max-drop", "0.002", "-o", "int8"],
        "eval": ["eval", "int8/shapes.onnx", *data, "--protocol", "upstream"],
        "compare": ["compare", "shapes.pt", "int8/shapes.onnx", *data],
        "benchmark": ["benchmark", "float/shapes.onnx", "int8/shapes.onnx", "--data", "val/images"],
    }
    for name, call in calls.items():
        if name and (folder / name / "report.json").exists():
            continue
        code = qcore([*call, "--report", name] if name else call)
        if code > 1:  # 1: a check said no, which has a report too
            raise SystemExit(code)


def taken(browser: Browser, page: Path, shot: Shot) -> Image.Image:
    """The page as it is seen."""
    shown = browser.new_page(viewport={"width": shot.width, "height": HEIGHT}, color_scheme=shot.scheme)
    shown.goto(page.as_uri())
    top = 0.0
    if shot.heading:
        section = shown.locator("section", has=shown.locator("h2", has_text=shot.heading)).first
        top = section.bounding_box()["y"] - 16
    whole = shown.evaluate("document.documentElement.scrollHeight")
    clip = {"x": 0, "y": top, "width": shot.width, "height": min(HEIGHT, whole - top)}
    picture = Image.open(io.BytesIO(shown.screenshot(full_page=True, clip=clip)))
    shown.close()
    return picture.convert("RGB")


def keep(picture: Image.Image, path: Path) -> None:
    """As PNG, small."""
    picture.save(path, optimize=True)
    if path.stat().st_size > HEAVY:
        picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    work = (options.work or Path(tempfile.mkdtemp())).resolve()
    work.mkdir(parents=True, exist_ok=True)
    os.chdir(work)
    reports(work)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for shot in SHOTS:
            keep(taken(browser, work / shot.report / "report.html", shot), out / shot.name)
        browser.close()


if __name__ == "__main__":
    main()
