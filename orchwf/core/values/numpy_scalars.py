"""Scalars of numpy, which is imported only to read what was written of it."""

import importlib
import sys
from collections.abc import Callable
from typing import Any

from .form import Json, Trouble
from .leaves import Leaf, as_is, read_base64, read_float, read_int, write_base64, write_float, write_int

_NUMPY_ITEMS: dict[str, tuple[Callable[[Any], Json], Callable[[Any], Json]]] = {
    "b": (as_is, as_is),
    "i": (as_is, as_is),
    "u": (write_int, read_int),
    "f": (write_float, read_float),
}


def _numpy_item_is_exact(dtype: Any) -> bool:
    """Whether Python has the same value; not so for a long double, a date and the like, whose bytes are kept."""
    return dtype.kind in _NUMPY_ITEMS and dtype.itemsize <= 8


def _write_numpy(value: Any, depth: int = 0) -> list[Json]:
    dtype = value.dtype
    if _numpy_item_is_exact(dtype):
        write, _ = _NUMPY_ITEMS[dtype.kind]
        return [dtype.name, write(value.item())]
    if dtype.hasobject or dtype.kind == "V":
        raise Trouble(f"it is a numpy scalar of type {dtype}; return its parts")
    return [dtype.str, write_base64(value.tobytes())]


def _read_numpy(json: list[Any]) -> object:
    # Only reached by what was stored as a numpy scalar: the workflow uses numpy anyway.
    numpy: Any = importlib.import_module("numpy")
    name, item = json
    if not isinstance(name, str):
        raise TypeError(f"{name!r} is no dtype")
    dtype = numpy.dtype(name)
    if dtype.hasobject or dtype.kind == "V":
        raise ValueError(f"{name!r} is not the dtype of a plain scalar")
    if _numpy_item_is_exact(dtype):
        _, read = _NUMPY_ITEMS[dtype.kind]
        return dtype.type(read(item))
    if dtype.itemsize == 0:
        return dtype.type()
    (scalar,) = numpy.frombuffer(read_base64(item), dtype)
    return scalar


def numpy_leaf(cls: type) -> Leaf:
    """The form of a class of numpy scalars."""
    return Leaf(cls, "numpy", (list,), _write_numpy, _read_numpy)


def is_numpy_scalar(cls: type) -> bool:
    """Whether it is one of numpy's scalar types; numpy is not imported to find out."""
    numpy: Any = sys.modules.get("numpy")
    return numpy is not None and issubclass(cls, numpy.generic) and cls.__module__ == "numpy"
