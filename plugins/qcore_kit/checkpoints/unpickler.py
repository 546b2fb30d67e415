"""Reading PyTorch checkpoints without running anything that is in them.

A pickle is a program: it names callables and has them called. This reader knows the few callables that tensors and
plain data need, turns the classes of model code into inert stand-ins, and refuses every other name before it is called.
"""

from __future__ import annotations

import collections
import datetime
import hashlib
import pickle
import re
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import BuiltinFunctionType, FunctionType, SimpleNamespace
from typing import Any

import numpy as np
import torch

from qcore.plugin import FileError
from qcore_kit.checkpoints.standins import METHODS, Method, StandIn, is_model_class, stand_in
from qcore_kit.told import told

ABLE = frozenset({
    "IPython", "__builtin__", "_pytest", "aiohttp", "cloudpickle", "commands", "dill", "distutils", "fabric", "fsspec",
    "joblib", "numpy", "nt", "pandas", "paramiko", "pexpect", "pip", "pkg_resources", "pytest", "requests", "scipy",
    "setuptools", "sh", "sympy", "tensorflow", "torch", "winreg",
})  # fmt: skip
"""Packages beside Python's own that can run programs, load files or fetch them: what a pickle names of them is no class
of a model."""


COMPILED = "torch._dynamo.eval_frame.OptimizedModule"
"""What `torch.compile` makes of a module."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as data.

    Attributes:
        path: The file.
        sha256: Of its bytes, in hexadecimal.
        data: What was saved; objects of model classes are stand-ins.
    """

    path: Path
    sha256: str
    data: Any


def _path(*parts: str) -> str:
    return str(PurePosixPath(*map(str, parts))) if parts else "."


class _Dtype:
    """What `numpy.dtype` pickles become: NumPy's own would take flags and fields from the file unchecked."""

    def __init__(self, name: Any = "", *_: Any) -> None:
        if not isinstance(name, str) or not re.fullmatch(r"[biufc?SU]\d{0,4}|O8?", name):
            raise pickle.UnpicklingError(f"the NumPy type {name!r}")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])

    def values(self, data: Any) -> np.ndarray:
        """The numbers in some bytes; objects come as a list of what was unpickled already."""
        if self.dtype == object:
            if not isinstance(data, list):
                raise pickle.UnpicklingError("NumPy objects that are no list")
            items = np.empty(len(data), object)
            items[:] = data
            return items
        raw = data.encode("latin1") if isinstance(data, str) else data
        if not isinstance(raw, bytes):
            raise pickle.UnpicklingError("NumPy data that is not bytes")
        return np.frombuffer(raw, self.dtype)


def _scalar(dtype: Any, data: Any = b"") -> Any:
    """A NumPy scalar."""
    if not isinstance(dtype, _Dtype):
        raise pickle.UnpicklingError("a NumPy scalar of an unsafe type")
    return dtype.values(data)[0]


class Array:
    """What `numpy.ndarray` pickles become: the state is read as raw numbers, never unpickled again.

    Attributes:
        value: The array.
    """

    def __init__(self, *_: Any) -> None:
        self.value: np.ndarray | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, _Dtype):
            raise pickle.UnpicklingError("a NumPy array of an unsafe type")
        self.value = dtype.values(data).reshape(shape, order="F" if fortran else "C").copy()


def _encode(text: str, encoding: str = "latin1") -> bytes:
    if encoding not in {"latin1", "latin-1", "utf-8"}:
        raise pickle.UnpicklingError(f"the codec {encoding}")
    return text.encode(encoding)


def _parameter(data: torch.Tensor, *_: Any) -> torch.Tensor:
    """A parameter as the plain tensor it holds."""
    return data


class _Call:
    """An allow-listed function. It is sealed: on the function itself the opcode BUILD would set attributes."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        """Call it."""
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        """Refuse.

        Raises:
            pickle.UnpicklingError: Always.
        """
        raise pickle.UnpicklingError("the pickle changes what it may only call")


def _method(owner: Any = None, name: Any = "") -> Method:
    """What `getattr` may give: a method of a module, as a name."""
    if isinstance(owner, StandIn) and isinstance(name, str) and METHODS.fullmatch(name):
        return Method(owner, name)
    raise _Refused("builtins.getattr")


def _typed(function: Any, kind: Any, arguments: Any, state: Any) -> Any:  # noqa: ARG001
    """A tensor of a subclass, or with attributes, as the plain tensor it holds."""
    if not any(function is allowed for allowed in ALLOWED.values()):
        raise _Refused("torch._tensor._rebuild_from_type_v2")
    return function(*arguments)


class _Refused(pickle.UnpicklingError):
    """A name in the pickle that is neither data nor model code."""


ALLOWED: dict[str, Any] = {
    "builtins.getattr": _method,
    "collections.Counter": collections.Counter,
    "collections.deque": collections.deque,
    "collections.OrderedDict": collections.OrderedDict,
    "collections.defaultdict": lambda factory=None: {},  # noqa: ARG005 - data only, no factory is kept
    "builtins.set": set,
    "builtins.frozenset": frozenset,
    "builtins.dict": dict,
    "builtins.list": list,
    "builtins.tuple": tuple,
    "builtins.int": int,
    "builtins.long": int,
    "builtins.unicode": str,
    "builtins.float": float,
    "builtins.bool": bool,
    "builtins.str": str,
    "builtins.bytes": bytes,
    "builtins.bytearray": bytearray,
    "builtins.complex": complex,
    "builtins.slice": slice,
    "builtins.range": range,
    "builtins.object": object,
    "_codecs.encode": _encode,
    "datetime.datetime": datetime.datetime,
    "datetime.date": datetime.date,
    "datetime.timedelta": datetime.timedelta,
    "argparse.Namespace": SimpleNamespace,
    "types.SimpleNamespace": SimpleNamespace,
    "torch._utils._rebuild_tensor_v2": torch._utils._rebuild_tensor_v2,
    "torch._utils._rebuild_tensor": torch._utils._rebuild_tensor,
    "torch._tensor._rebuild_from_type_v2": _typed,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.Size": torch.Size,
    "torch.device": torch.device,
    "numpy.dtype": _Dtype,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy._core.multiarray.scalar": _scalar,
    "numpy.core.multiarray._reconstruct": Array,
    "numpy._core.multiarray._reconstruct": Array,
    "numpy.ndarray": Array,
    **{f"pathlib.{name}": _path for name in ("Path", "PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")},
    **{f"pathlib._local.{name}": _path for name in ("Path", "PosixPath", "WindowsPath")},
    **{f"torch.{name}": value for name, value in vars(torch).items() if isinstance(value, torch.dtype)},
}


ALLOWED |= {
    name: _Call(value) for name, value in ALLOWED.items() if isinstance(value, (FunctionType, BuiltinFunctionType))
}


class _Unknown(pickle.UnpicklingError):
    """A name of a package that is neither Python's own nor one for training that is known here."""


class _Compiled(pickle.UnpicklingError):
    """A module that was compiled: its pickle holds the compiler's objects around the network."""


class InertUnpickler(pickle.Unpickler):
    """An unpickler that can only build data; `torch.load` adds the tensors through `persistent_load`."""

    reaches = ""

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """The allow-listed callable, or a stand-in for a class of model code.

        Raises:
            pickle.UnpicklingError: Any other name.
        """
        dotted = f"{module}.{name}".replace("__builtin__.", "builtins.")
        if dotted in ALLOWED:
            if dotted == "builtins.getattr":
                self.reaches = f"{dotted}, "
            allowed: Callable[..., Any] = ALLOWED[dotted]
            return allowed
        if is_model_class(module, name):
            return stand_in(dotted)
        if dotted == COMPILED:
            raise _Compiled(dotted)
        package = module.split(".", maxsplit=1)[0]
        if "." in name or package in ABLE or package in sys.stdlib_module_names:
            raise _Refused(f"{self.reaches}{dotted}")
        raise _Unknown(dotted)


_SAFE_PICKLE = SimpleNamespace(
    __name__="qcore_kit.checkpoints.unpickler",
    Unpickler=InertUnpickler,
    load=lambda stream, **options: InertUnpickler(stream, **options).load(),
)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint as data.

    The size of a storage in a file is checked against its record by torch itself, from 2.10 on (CVE-2026-24747).

    Args:
        path: A file written by `torch.save`, in the zip form or the older one.

    Raises:
        FileError: Not a checkpoint, damaged, TorchScript, or it names something that is not data.
    """
    _refuse_torchscript(path)
    try:
        data = torch.load(str(path), map_location="cpu", pickle_module=_SAFE_PICKLE, weights_only=False)
    except _Refused as error:
        raise FileError(
            f"{path}: refused: the pickle references {error}, which is neither data nor model code; "
            "none of its code was run",
            hint="do not open this file with torch.load; get the checkpoint from its authors again",
        ) from error
    except _Compiled as error:
        raise FileError(
            f"{path}: holds the compiled form of a network (torch.compile), not the network",
            hint="save the network that was compiled: torch.save({'model': model._orig_mod}, 'model.pt')",
        ) from error
    except _Unknown as error:
        raise FileError(
            f"{path}: holds objects of {error}, a class that qcore does not know; nothing of the file was run",
            hint="where that class is installed, save the parts instead: torch.save({'family': 'yolov5', 'config': "
            "model.yaml, 'names': model.names, 'state_dict': model.state_dict()}, 'plain.pt')",
        ) from error
    except Exception as error:
        raise FileError(
            f"{path}: cannot read this checkpoint ({told(error)})", hint="copy or download it again"
        ) from error
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return Checkpoint(path, digest, data)


def _refuse_torchscript(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return  # torch.load says what is wrong
    if any("/code/" in name or name.endswith("constants.pkl") for name in names):
        raise FileError(
            f"{path}: a TorchScript archive, compiled code without the model's config",
            hint="give the checkpoint it was made from (the .pt that training wrote)",
        )
