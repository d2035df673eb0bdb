"""Arrays, frames and tables come back as what they were."""

import asyncio
import base64
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import numpy.typing
import pandas
import pyarrow
import pytest

import orchwf
from orchwf import EncodingError, step, workflow
from orchwf.core.codec import Codec
from orchwf.core.definition import UNKNOWN
from orchwf.core.values.pieces import is_large

ARRAYS = {
    "numbers": numpy.arange(6.0).reshape(2, 3),
    "no dimension": numpy.array(5),
    "nothing": numpy.zeros((0, 3), "i2"),
    "text": numpy.array(["a", "bé", "注"]),
    "bytes": numpy.array([b"x", b""]),
    "dates": numpy.array(["2020-01-01", "NaT"], "M8[ns]"),
    "columns first": numpy.asfortranarray(numpy.ones((2, 3))),
    "not in a row": numpy.arange(10)[::-2],
    "other order of bytes": numpy.arange(3, dtype=">i8"),
    "fields": numpy.ones(2, [("naïve", "f4"), ("b", "<i8", (2,))]),
    "complex": numpy.array([1 + 2j, float("nan")]),
    "truth": numpy.array([[True], [False]]),
    "half": numpy.array([1.5], "f2"),
}
FRAMES = {
    "columns of many types": pandas.DataFrame(
        {
            "a": [1, 2],
            "b": ["x", "注"],
            "c": pandas.to_datetime(["2020-01-01", "2021-06-01"]).tz_localize("Europe/Berlin"),
            "d": pandas.Categorical(["u", "v"]),
            "e": pandas.array([1, None], dtype="Int64"),
            "f": [1.5, float("nan")],
        },
        index=pandas.Index([3, 4], name="i"),
    ),
    "nothing": pandas.DataFrame(),
    "names that are numbers": pandas.DataFrame({1: [1], 2: [2]}),
    "names of several levels": pandas.DataFrame([[1, 2]], columns=pandas.MultiIndex.from_tuples([("a", 1), ("a", 2)])),
}


def there_and_back(value: Any, type_: Any = UNKNOWN) -> Any:
    return Codec().decode(Codec().encode(value, type_), type_)


@pytest.mark.parametrize("type_", [UNKNOWN, numpy.ndarray, numpy.typing.NDArray[numpy.float64], object, list[int]])
@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_comes_back(name: str, type_: Any):
    """With its dtype, its shape and its order, whatever was annotated; and it can be changed."""
    array = ARRAYS[name]

    found = there_and_back(array, type_)

    assert numpy.ndarray is type(found)
    assert (array.dtype, array.shape) == (found.dtype, found.shape)
    assert numpy.array_equal(array, found, equal_nan=array.dtype.kind in "fcM")
    assert found.flags.writeable
    assert array.flags.f_contiguous == found.flags.f_contiguous or name == "not in a row"


def test_arrays_within_other_values():
    """They stand where any value may."""
    value = {"a": [numpy.arange(3), None], "b": (numpy.float32(1), numpy.ones(2))}

    found = there_and_back(value)

    assert [0, 1, 2] == found["a"][0].tolist()
    assert (numpy.float32, [1.0, 1.0]) == (type(found["b"][0]), found["b"][1].tolist())


def test_a_long_array_is_written_in_pieces():
    """Of each piece no more than some hundred kilobytes are worked on in one call."""
    array = numpy.arange(400_000)

    text = Codec().encode(array, numpy.ndarray)

    assert text.startswith('["')
    assert 1_000_010 > max(map(len, text.split(",")))
    assert numpy.array_equal(array, there_and_back(array))


def test_equal_arrays_give_equal_texts():
    """Kept outputs are found by the texts of arguments."""
    first, second = (Codec().encode(numpy.arange(1_000).reshape(2, 500)) for _ in range(2))

    assert first == second


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (
            numpy.array([1, "a", None], object),
            "a numpy array of object, whose items may be anything; return its tolist",
        ),
        (numpy.ma.array([1, 2]), "of type numpy.ma.MaskedArray; return its tolist"),
        (numpy.zeros(1, [(f"f{n:04}", "f4") for n in range(2_000)]), "too many fields to be read again"),
        (numpy.zeros(1, numpy.dtype("f4", metadata={"unit": "m"})), "metadata, which are not stored"),
    ],
    ids=["objects", "subclass", "many fields", "metadata"],
)
def test_an_array_that_does_not_survive(array: Any, reason: str):
    """It is refused when it is written, with the way out."""
    with pytest.raises(EncodingError, match=reason):
        Codec().encode(array)


def test_an_array_of_objects_is_never_read():
    """Whoever can write to a store cannot have code run by it."""
    pickled = io.BytesIO()
    numpy.save(pickled, numpy.array([print], object), allow_pickle=True)
    stored = f'{{"$":"numpy.ndarray","v":"{base64.b64encode(pickled.getvalue()).decode()}"}}'

    with pytest.raises(EncodingError, match="Object arrays cannot be loaded"):
        Codec().decode(stored)


@pytest.mark.parametrize("type_", [UNKNOWN, pandas.DataFrame, object])
@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_comes_back(name: str, type_: Any):
    """With its index, its names and the types of its columns."""
    found = there_and_back(FRAMES[name], type_)

    pandas.testing.assert_frame_equal(FRAMES[name], found)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (pandas.DataFrame({"a": [1, "x"]}), "a pandas DataFrame that Arrow cannot hold"),
        (pandas.DataFrame({"a": pandas.Series([1, 2], dtype=object)}), "would come back with other types from Arrow"),
        (pandas.DataFrame([[1, 2]], columns=["a", "a"]), "Duplicate column names"),
        (pandas.Series([1]), "of type pandas.Series; return its tolist"),
    ],
    ids=["mixed", "objects", "names", "series"],
)
def test_a_frame_that_does_not_survive(frame: Any, reason: str):
    """It is refused when it is written, with the way out."""
    with pytest.raises(EncodingError, match=reason):
        Codec().encode(frame)


@pytest.mark.parametrize("type_", [UNKNOWN, pyarrow.Table, object])
def test_a_table_comes_back(type_: Any):
    """With its schema, the metadata of that among it."""
    table = pyarrow.table({"a": [1, None], "b": [[1], [2, 3]]}).replace_schema_metadata({"unit": "m"})

    found = there_and_back(table, type_)

    assert table.equals(found, check_metadata=True)


def test_frames_need_pyarrow(monkeypatch: pytest.MonkeyPatch):
    """Whoever lacks it is told what to install."""
    monkeypatch.setitem(sys.modules, "pyarrow.ipc", None)

    with pytest.raises(EncodingError, match="stored as Arrow data: pip install pyarrow"):
        Codec().encode(pandas.DataFrame({"a": [1]}))


@pytest.mark.parametrize("value", [numpy.ones(3), pandas.DataFrame(), [pyarrow.table({})]])
def test_arrays_are_encoded_in_a_thread(value: Any):
    """However small: what it takes is not known before."""
    assert is_large(value)


def test_what_has_a_method_for_arrow_is_told_of_it():
    """Frames of other packages know how to become a table."""

    class Frame:
        def to_arrow(self) -> None: ...

    with pytest.raises(EncodingError, match=r"return its to_arrow\(\)"):
        Codec().encode(Frame())


def test_nothing_is_imported_for_values_that_need_nothing():
    """A workflow without arrays does not pay for them."""
    code = (
        "import sys; from orchwf.core.codec import Codec; c = Codec(); c.decode(c.encode([1, 'a', {2}]));"
        "print({'numpy', 'pandas', 'pyarrow'} & {*sys.modules})"
    )

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert "set()" == said.strip()


@workflow
class Arrays:
    """An array, a frame and a table on their way."""

    weights: numpy.ndarray

    @step
    def scale(self) -> numpy.ndarray:
        scaled: numpy.ndarray = self.weights * numpy.arange(100_000)
        return scaled

    @step
    def frame(self, values: numpy.ndarray = scale.result) -> pandas.DataFrame:
        return pandas.DataFrame({"value": values})

    @step
    def table(self, frame: pandas.DataFrame = frame.result) -> Any:
        return pyarrow.Table.from_pandas(frame)

    @step
    def total(self, table: Any = table.result) -> float:
        return float(numpy.sum(table["value"].to_numpy()))


def test_a_run_of_arrays(tmp_path: Path):
    """On a file, its large values beside it; read by another process as it was given by the step."""
    url = f"sqlite:///{tmp_path}/a.db"
    result = orchwf.run(Arrays(weights=numpy.array([2.0])), store=url, run_id="r")

    async def again() -> Any:
        async with orchwf.Orchestrator(url, workflows=[Arrays]) as orchestrator:
            return await (await orchestrator.get("r")).result()

    stored = asyncio.run(again())
    assert 9_999_900_000.0 == result["total"] == stored["total"]
    assert numpy.array_equal(2.0 * numpy.arange(100_000), stored["scale"])
    pandas.testing.assert_frame_equal(result["frame"], stored["frame"])
    assert stored["table"].equals(result["table"])
    assert 3 == sum(path.is_file() for path in (tmp_path / "a.db.blobs").rglob("*"))
