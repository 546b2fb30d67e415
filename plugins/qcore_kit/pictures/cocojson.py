"""The pictures of a COCO json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qcore.plugin import FileError
from qcore_kit.pictures import lists
from qcore_kit.pictures.places import Places
from qcore_kit.pictures.texts import read_text

SUFFIXES = {".json"}


def read(path: Path) -> Mapping[str, Any]:
    """The document.

    Raises:
        FileError: It is no COCO json.
    """
    hint = "--data takes COCO json (images, annotations, categories) or a YOLO data.yaml"
    try:
        document = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path}: not a COCO detection json ({error})", hint=hint) from error
    if isinstance(document, list) and document and isinstance(document[0], dict) and "score" in document[0]:
        raise FileError(f"{path}: holds results, expected labels", hint=hint)
    if not isinstance(document, dict) or not isinstance(document.get("images"), list):
        raise FileError(f"{path}: not a COCO detection json (no list of images)", hint=hint)
    return document


def pictures(path: Path, document: Mapping[str, Any], images: Path | None = None) -> tuple[list[Path], list[str]]:
    """Where its pictures are, in its order, and remarks about them.

    Without `images`, in `images/` beside the json, beside it, and likewise one folder up; also in the folder that
    the json is called after (`instances_val2017.json`: `val2017/`).

    Raises:
        FileError: An image without a file name.
    """
    home, up = path.parent, path.parent.parent
    called = path.stem.rpartition("_")[2]
    roots = [images] if images else [
        home / "images", home, home / called, up / "images", up / called, up / "images" / called, up,
    ]  # fmt: skip
    places = Places(*roots)
    files = []
    for number, entry in enumerate(document["images"]):
        name = entry.get("file_name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name:
            raise FileError(f"{path}: image {number} of its list has no file_name", hint="check the file")
        files.append(places.find(name) or places.expected(name))
    return files, lists.moved(path, places)
