"""What values of one exact type look like as JSON: the types without parts."""

import base64
import math
import pathlib
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from types import NoneType
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs

from .form import Json, Trouble, shown, type_name, unexpected

_SMALLEST, _LARGEST = -(2**63), 2**63 - 1


@attrs.frozen
class Leaf:
    """
    A class whose values have no parts of other types.

    `kinds` are the types of JSON that its values are written as, `from_json` may raise anything about bad JSON of
    these types.
    """

    cls: type
    tag: str
    kinds: tuple[type, ...]
    write: Callable[[Any, int], Json]
    from_json: Callable[[Any], object]

    @property
    def is_record(self) -> bool:
        return False

    def read(self, json: Json) -> object:
        if type(json) not in self.kinds:
            raise unexpected(self.tag, json)
        try:
            return self.from_json(json)
        # What a constructor makes of damaged text is not ours to foresee.
        except Exception as error:
            raise Trouble(f"{shown(json)} is no {self.tag} ({type(error).__name__}: {error})") from error


def as_is(value: Json, depth: int = 0) -> Json:
    return value


def write_base64(value: bytes, depth: int = 0) -> str:
    return base64.b64encode(value).decode("ascii")


def read_base64(json: str) -> bytes:
    return base64.b64decode(json, validate=True)


def write_int(value: int, depth: int = 0) -> int | str:
    # JSON readers, SQLite among them, know integers of 64 bits. Hexadecimal, as Python refuses decimals of over 4,300
    # digits.
    return value if _SMALLEST <= value <= _LARGEST else hex(value)


def read_int(json: int | str) -> int:
    if isinstance(json, int):
        return json
    if not json.removeprefix("-").startswith("0x"):
        raise ValueError("only hexadecimal integers are written as text")
    return int(json, 16)


def write_float(value: float, depth: int = 0) -> float | str:
    return value if math.isfinite(value) else repr(value)


def read_float(json: float | str) -> float:
    if json not in ("nan", "inf", "-inf") and isinstance(json, str):
        raise ValueError("only nan, inf and -inf are written as text")
    return float(json)


def _write_text(value: str, depth: int = 0) -> str | list[str]:
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        # Lone surrogates are not text to a database, and two of them in a row would come back as one character.
        return [write_base64(value.encode("utf-8", "surrogatepass"))]
    return value


def _read_text(json: str | list[str]) -> str:
    if isinstance(json, str):
        return json
    (encoded,) = json
    return read_base64(encoded).decode("utf-8", "surrogatepass")


def _is_unnamed(zone: tzinfo | None) -> bool:
    """Whether the offset says all about a zone."""
    if zone is None:
        return True
    return type(zone) is timezone and str(zone) == str(timezone(zone.utcoffset(None)))


def _write_timedelta(value: timedelta, depth: int = 0) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


def _write_zone(zone: tzinfo, depth: int = 0) -> str | list[Any]:
    if type(zone) is ZoneInfo and zone.key is not None:
        return zone.key
    if type(zone) is timezone:
        offset = _write_timedelta(zone.utcoffset(None))
        return offset if _is_unnamed(zone) else [*offset, str(zone)]
    raise Trouble(
        f"its time zone is a {type_name(type(zone))} that has no name to find it by; "
        "use datetime.timezone or zoneinfo.ZoneInfo(name)"
    )


def _read_zone(json: str | list[Any]) -> tzinfo:
    if isinstance(json, str):
        return ZoneInfo(json)
    return timezone(timedelta(*json[:3]), *json[3:])


def _write_moment(value: datetime | time, depth: int = 0) -> str | dict[str, Any]:
    text = value.isoformat()
    if _is_unnamed(value.tzinfo) and not value.fold:
        return text
    zone = value.tzinfo
    beside = {} if zone is None or _is_unnamed(zone) else {"zone": _write_zone(zone)}
    return {"at": text, **beside, "fold": value.fold}


def _read_datetime(json: str | dict[str, Any]) -> datetime:
    if isinstance(json, str):
        return datetime.fromisoformat(json)
    at = datetime.fromisoformat(json["at"]).replace(fold=json["fold"])
    if "zone" not in json:
        return at
    local = at.replace(tzinfo=_read_zone(json["zone"]))
    # The rules of a zone change now and then: the instant is kept then, not what the clock on the wall said.
    return local if local.utcoffset() == at.utcoffset() else at.astimezone(local.tzinfo)


def _read_time(json: str | dict[str, Any]) -> time:
    if isinstance(json, str):
        return time.fromisoformat(json)
    at = time.fromisoformat(json["at"])
    return at.replace(fold=json["fold"], tzinfo=_read_zone(json["zone"]) if "zone" in json else at.tzinfo)


def _write_str(value: object, depth: int = 0) -> str:
    return str(value)


def _write_path(value: pathlib.PurePath, depth: int = 0) -> str | list[str]:
    return _write_text(str(value))


def _path_leaf(cls: type[pathlib.PurePath]) -> Leaf:
    return Leaf(cls, cls.__name__, (str, list), _write_path, lambda json: cls(_read_text(json)))


def _write_range(value: range, depth: int = 0) -> list[int | str]:
    return [write_int(value.start), write_int(value.stop), write_int(value.step)]


NATIVE_LEAVES = (
    Leaf(NoneType, "None", (NoneType,), as_is, as_is),
    Leaf(bool, "bool", (bool,), as_is, as_is),
    Leaf(int, "int", (int, str), write_int, read_int),
    Leaf(float, "float", (float, str), write_float, read_float),
    Leaf(str, "str", (str, list), _write_text, _read_text),
)
"""The types without parts that JSON has itself."""

LEAVES = (
    *NATIVE_LEAVES,
    Leaf(bytes, "bytes", (str,), write_base64, read_base64),
    Leaf(bytearray, "bytearray", (str,), write_base64, lambda json: bytearray(read_base64(json))),
    Leaf(complex, "complex", (str,), _write_str, complex),
    Leaf(range, "range", (list,), _write_range, lambda json: range(*map(read_int, json))),
    Leaf(datetime, "datetime", (str, dict), _write_moment, _read_datetime),
    Leaf(date, "date", (str,), _write_str, date.fromisoformat),
    Leaf(time, "time", (str, dict), _write_moment, _read_time),
    Leaf(timedelta, "timedelta", (list,), _write_timedelta, lambda json: timedelta(*json)),
    Leaf(timezone, "timezone", (list,), _write_zone, _read_zone),
    Leaf(ZoneInfo, "ZoneInfo", (str,), _write_zone, _read_zone),
    Leaf(UUID, "UUID", (str,), _write_str, UUID),
    Leaf(Decimal, "Decimal", (str,), _write_str, Decimal),
    _path_leaf(pathlib.PurePosixPath),
    _path_leaf(pathlib.PureWindowsPath),
    _path_leaf(pathlib.PosixPath),
    _path_leaf(pathlib.WindowsPath),
)
"""Every type without parts."""

_UNREMARKABLE: dict[type, Callable[[Iterable[Any]], bool]] = {
    NoneType: lambda items: True,
    bool: lambda items: True,
    int: lambda items: min(items) >= _SMALLEST and max(items) <= _LARGEST,
    float: lambda items: all(map(math.isfinite, items)),
    str: lambda items: all(map(str.isascii, items)),
}


def are_plain(items: Iterable[object], types: frozenset[type]) -> bool:
    """Whether all items are of one of these native types, and JSON as they are. A shortcut: few loops in Python."""
    kinds = set(map(type, items))
    if len(kinds) != 1:
        return not kinds
    (kind,) = kinds
    return kind in types and _UNREMARKABLE[kind](items)
