"""Arrays of numpy as npy, frames of pandas and tables of pyarrow as Arrow: none is imported unless a value is there."""

import base64
import importlib
import io
import sys
from collections.abc import Callable, Iterator
from typing import Any

from .form import Json, Trouble
from .leaves import Leaf, read_base64

_PIECE = 750_000
"""How many bytes are written as one text, a multiple of three: what is longer is a list of these."""
_LONGEST_HEADER = 10_000
"""How many bytes of its header numpy reads; the names of very many fields take more."""
_NPY = (3, 0)
"""The version of the format in which the names of fields may be of any language."""


def _write_bytes(data: memoryview) -> Json:
    """Base64 in pieces: while one is written, no other thread runs."""
    pieces = list(_encoded(data))
    return pieces[0] if len(pieces) == 1 else pieces


def _encoded(data: memoryview) -> Iterator[str]:
    for start in range(0, len(data), _PIECE):
        yield base64.b64encode(data[start : start + _PIECE]).decode("ascii")


def _read_bytes(json: str | list[str]) -> bytes:
    return b"".join(map(read_base64, [json] if isinstance(json, str) else json))


def _write_array(value: Any, depth: int = 0) -> Json:
    if value.dtype.hasobject:
        raise Trouble(f"it is a numpy array of {value.dtype}, whose items may be anything; return its tolist()")
    if value.dtype.metadata:
        raise Trouble("the dtype of this numpy array has metadata, which are not stored; return an array without")
    buffer = io.BytesIO()
    _npy().write_array(buffer, value, version=_NPY, allow_pickle=False)
    data = buffer.getbuffer()
    if len(data) - value.nbytes > _LONGEST_HEADER:
        raise Trouble("the dtype of this numpy array has too many fields to be read again; return an array for each")
    return _write_bytes(data)


def _read_array(json: str | list[str]) -> object:
    array: object = _npy().read_array(io.BytesIO(_read_bytes(json)), allow_pickle=False)
    return array


def _npy() -> Any:
    return importlib.import_module("numpy.lib.format")


def _write_table(value: Any, depth: int = 0) -> Json:
    pyarrow = _pyarrow()
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, value.schema) as writer:
        writer.write_table(value)
    return _write_bytes(memoryview(sink.getvalue()))


def _read_table(json: str | list[str]) -> Any:
    return _pyarrow().ipc.open_stream(_read_bytes(json)).read_all()


def _write_frame(value: Any, depth: int = 0) -> Json:
    try:
        pyarrow = _pyarrow()
    except ImportError as error:
        raise Trouble("it is a pandas DataFrame, which is stored as Arrow data: pip install pyarrow") from error
    try:
        table = pyarrow.Table.from_pandas(value)
        is_same = _is_same(value, table.to_pandas())
    # Foreign code: columns may hold anything.
    except Exception as error:
        raise Trouble(f"it is a pandas DataFrame that Arrow cannot hold ({error}); {_WAY_OUT}") from error
    if not is_same:
        raise Trouble(f"it is a pandas DataFrame that would come back with other types from Arrow; {_WAY_OUT}")
    return _write_table(table)


def _is_same(frame: Any, again: Any) -> bool:
    """Whether what Arrow makes of a frame is that frame: Arrow has fewer types than pandas."""
    indexes = ((frame.index, again.index), (frame.columns, again.columns))
    return bool(frame.equals(again)) and all(
        one.dtype == other.dtype and one.names == other.names for one, other in indexes
    )


_WAY_OUT = "give each column one type, or return its to_dict('list')"


def _read_frame(json: str | list[str]) -> object:
    frame: object = _read_table(json).to_pandas()
    return frame


def _pyarrow() -> Any:
    importlib.import_module("pyarrow.ipc")
    return importlib.import_module("pyarrow")


_KNOWN: tuple[tuple[str, str, Callable[[Any, int], Json], Callable[[Any], object]], ...] = (
    ("numpy", "ndarray", _write_array, _read_array),
    ("pandas", "DataFrame", _write_frame, _read_frame),
    ("pyarrow", "Table", _write_table, _read_table),
)
"""The package of a class, its name there, how its values are written, and read."""


def _leaf(cls: type, package: str, name: str, write: Callable[[Any, int], Json], read: Callable[[Any], object]) -> Leaf:
    return Leaf(cls, f"{package}.{name}", (str, list), write, read)


ARRAY_MODULES = frozenset({"numpy", "pandas", "pandas.core.frame", "pyarrow.lib"})
"""The modules that these classes say they are of: who looks there first need not call anything for all others."""


def array_leaf(cls: type) -> Leaf | None:
    """
    The form of a class of one of `ARRAY_MODULES`, if it is one of arrays, frames or tables; else None.

    Nothing is imported to find out.
    """
    for package, name, write, read in _KNOWN:
        if getattr(sys.modules.get(package), name, None) is cls:
            return _leaf(cls, package, name, write, read)
    return None


ARRAY_LEAVES = tuple(_leaf(object, *known) for known in _KNOWN)
"""The forms by which what was written is read: the packages are imported then."""
