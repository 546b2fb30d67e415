"""Text files as other systems write them."""

from __future__ import annotations

import codecs
from pathlib import Path

from qcore.plugin import FileError

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""UTF-32 first: its mark begins with that of UTF-16."""


def read_text(path: Path) -> str:
    """The text of a file: UTF-8, UTF-16 or UTF-32 by its byte order mark, else UTF-8, else Latin-1.

    Raises:
        FileError: It cannot be read, or is not text.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror})", hint="check the path") from error
    encoding = next((name for mark, name in MARKS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8" or b"\0" in data:
            raise FileError(f"{path}: not a text file", hint="it should be UTF-8 text") from error
        return data.decode("latin-1")


def read_lines(path: Path) -> list[str]:
    """Its lines without white space around them; without empty ones and comments (`#`). Errors as `read_text`."""
    lines = (line.strip() for line in read_text(path).splitlines())
    return [line for line in lines if line and not line.startswith("#")]
