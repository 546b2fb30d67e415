"""Writing files so that nothing half-written is ever seen."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from qcore.errors import FileError

FULL = errno.ENOSPC, errno.EDQUOT
"""What the system says where there is no room."""


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def require(path: str | os.PathLike[str]) -> Path:
    """The path of an existing file.

    Raises:
        FileError: It is absent, a directory, or empty.
    """
    file = Path(path)
    if not file.exists():
        raise FileError(f"{file}: no such file", hint=f"looked for {file.absolute()}")
    if file.is_dir():
        raise FileError(f"{file}: expected a file, got a directory", hint="name the file inside it")
    try:
        with file.open("rb") as stream:
            empty = not stream.read(1)
    except OSError as error:
        raise FileError(f"{file}: cannot be read ({error.strerror})", hint="check its permissions") from error
    if empty:
        raise FileError(f"{file}: the file is empty", hint="copy or download it again")
    return file


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of an existing UTF-8 file.

    Raises:
        FileError: It is absent, a directory, empty, or not text.
    """
    file = require(path)
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FileError(f"{file}: not a text file", hint="it should be UTF-8 text") from error


def output_directory(path: str | os.PathLike[str]) -> Path:
    """The directory, made if need be, and known to be writable.

    Raises:
        FileError: It cannot be made or written to.
    """
    directory = Path(path)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise FileError(
            f"{directory}: cannot be written to ({error.strerror})", hint="choose another folder"
        ) from error
    return directory


def publish(directory: Path, write: Callable[[Path], Sequence[Path]]) -> list[Path]:
    """Write a set of files into `directory`: all of them, or none.

    Args:
        directory: Where they go.
        write: Writes into the temporary directory it is given; returns the files in the order of publication.

    Raises:
        FileError: The directory cannot be written to.
    """
    output_directory(directory)
    staging = Path(tempfile.mkdtemp(prefix=f".qcore-{os.getpid()}-", dir=directory))
    try:
        files = write(staging)
        published = []
        for file in files:
            final = directory / file.relative_to(staging)
            file.replace(final)
            published.append(final)
        return published
    except OSError as error:
        raise FileError(f"{directory}: writing failed ({error})", hint="check space and permissions") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path that takes the place of `path` if the block ends well.

    A symbolic link stays one, and a file keeps its mode. What is no regular file, such as a device or a pipe, is
    written to and not replaced.
    """
    there = path.exists()
    if there and (path.parent == Path("/dev") or not path.is_file()):
        with tempfile.TemporaryDirectory() as folder:
            written = Path(folder, path.name)
            yield written
            with written.open("rb") as source, path.open("ab") as stream:
                shutil.copyfileobj(source, stream)
        return
    target = Path(os.path.realpath(path))
    output_directory(target.parent)
    handle, name = tempfile.mkstemp(f"-{path.name}", f".qcore-{os.getpid()}-", target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(stat.S_IMODE(target.stat().st_mode) if there else 0o644)
        temporary.replace(target)
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise FileError(f"{path}: cannot be written ({error.strerror})", hint="check space and permissions") from error
    finally:
        temporary.unlink(missing_ok=True)
