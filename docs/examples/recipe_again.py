"""A recipe is written, run, printed from what it made, and run again: the same recipe, the same bytes.

python recipe_again.py yolov5n.pt images/ out/
"""

import sys
from pathlib import Path

import qcore
from qcore_kit import recipes
from qcore_plugins.verbs import quantize


def main(checkpoint, pictures, out):
    """Give the bytes of both files."""
    out.mkdir(parents=True, exist_ok=True)
    recipe = (
        qcore.recipe(checkpoint).with_quantizer("onnxruntime", calibration=str(pictures)).with_backend("onnxruntime")
    )
    recipes.write(recipe, out / "int8.toml")
    read = recipes.read(out / "int8.toml", qcore.plugins)
    assert read == recipe
    first = Path(quantize(read, out / "first")["file"])
    again = recipes.read(first, qcore.plugins)  # the one in the file's contract
    second = Path(quantize(again, out / "second")["file"])
    print(recipes.as_toml(recipes.document(again)))
    return first.read_bytes(), second.read_bytes()


if __name__ == "__main__":
    one, two = main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
    print("the same bytes" if one == two else "other bytes")
    sys.exit(one != two)
