"""Scalars of numpy come back as such."""

from typing import Any

import pytest

from orchwf.core.codec import Codec
from orchwf.core.definition import UNKNOWN
from orchwf.errors import EncodingError

np = pytest.importorskip("numpy")


@pytest.mark.parametrize(
    "value",
    [
        np.float64(1.5), np.float32("inf"), np.float16(0.1), np.int8(-5), np.int64(2**62), np.uint64(2**64 - 1),
        np.bool_(True), np.str_("é"), np.str_(""), np.bytes_(b"x"), np.complex128(1 - 2j), np.longdouble("1.1"),
        np.datetime64("2026-01-01T00:00", "ns"), np.timedelta64(5, "D"), np.datetime64("NaT", "s"),
    ],
    ids=repr,
)  # fmt: skip
def test_a_scalar_comes_back_as_it_was(value: Any):
    """Its class and its bytes are the same."""
    for hint in (UNKNOWN, type(value), float, str):
        result = Codec().decode(Codec().encode(value, hint), hint)

        assert (type(value), value.dtype, value.tobytes()) == (type(result), result.dtype, result.tobytes())


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.zeros(1, "i4,f8")[0], "it is a numpy scalar of type [('f0', '<i4'), ('f1', '<f8')]; return its parts"),
    ],
    ids=["structured"],
)
def test_what_has_parts_is_refused(value: Any, reason: str):
    """The message says the way out."""
    with pytest.raises(EncodingError) as caught:
        Codec().encode(value)

    assert f"the value at $ cannot be stored: {reason}" == str(caught.value)


@pytest.mark.parametrize(
    ("json", "reason"),
    [
        ('["object","AA=="]', "ValueError: 'object' is not the dtype of a plain scalar"),
        ('["V8","AA=="]', "ValueError: 'V8' is not the dtype of a plain scalar"),
        ('["nothing",1]', "TypeError: data type 'nothing' not understood"),
        ("[1,2]", "TypeError: 1 is no dtype"),
        ('["int8",1000]', "OverflowError: Python integer 1000 out of bounds for int8"),
        ('["<M8[ns]","AA=="]', "ValueError: buffer size must be a multiple of element size"),
    ],
)
def test_a_damaged_scalar_is_refused(json: str, reason: str):
    """Nothing but plain scalars can be made."""
    with pytest.raises(EncodingError) as caught:
        Codec().decode(f'{{"$":"numpy","v":{json}}}')

    assert f"is no numpy ({reason})" in str(caught.value)
