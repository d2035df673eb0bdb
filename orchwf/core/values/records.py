"""The forms of users' classes: attrs classes, dataclasses, pydantic models, named tuples and enums."""

import dataclasses
import inspect
from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum, Flag
from functools import cached_property
from typing import Any

import attrs

from ..definition import UNKNOWN
from .containers import ARRAYS, OBJECTS
from .form import MAX_DEPTH, Form, Json, Trouble, too_deep, type_name, unexpected
from .hints import attribute_hints, substituted, type_variables
from .leaves import LEAVES
from .shapes import TAG, Shape, Types

_MISSING: Any = object()
_UNSET = "__unset__"


@attrs.frozen
class _Field:
    """
    One field of a class.

    `parameter` is what the constructor calls it, None if it does not take it. `converter` is what the constructor
    will do with the value.
    """

    name: str
    parameter: str | None
    hint: Any
    converter: Callable[[Any], object] | None = None


class _Record:
    """
    The form of a class with fields: an object of them.

    A value is built again by the constructor, so that checks, defaults of fields that are new, and what depends on
    the fields are as ever. Then whatever it made of a field is put back to what was stored.
    """

    is_record = True

    def __init__(self, cls: type, tag: str, args: tuple[Any, ...], types: Types) -> None:
        self.cls = cls
        self.tag = tag
        self._args = args
        self._types = types

    def _declared(self, hints: dict[str, Any]) -> Iterable[_Field]:
        """The fields of the class, whose annotations these are."""
        raise NotImplementedError

    # Not before there is a value: a field may be of the class itself.
    @cached_property
    def _fields(self) -> dict[str, tuple[_Field, Shape]]:
        variables = type_variables(self.cls, self._args)
        return {
            field.name: (field, self._types.shape(substituted(field.hint, variables)))
            for field in self._declared(attribute_hints(self.cls))
        }

    @cached_property
    def _obstacle(self) -> str:
        """Why the constructor cannot build a value again from its fields; empty if it can."""
        given = [field.parameter for field, _ in self._fields.values() if field.parameter]
        try:
            inspect.signature(self.cls).bind(**dict.fromkeys(given))
        except (TypeError, ValueError) as error:
            return str(error)
        return ""

    def write(self, value: Any, depth: int) -> Json:
        if depth > MAX_DEPTH:
            raise too_deep(value)
        if self._obstacle:
            raise Trouble(
                f"{type_name(self.cls)} could not be built again from its fields ({self._obstacle}); "
                "give its constructor a parameter for each field, and defaults for all others"
            )
        result: dict[str, Json] = {}
        name = ""
        fields = self._fields
        try:
            for name, (field, shape) in fields.items():
                item = getattr(value, name, _MISSING)
                if item is not _MISSING:
                    _check_converter(field, item)
                    result[name] = shape.write(item, depth + 1)
                elif field.parameter:
                    raise Trouble("this field is not set")
        except Trouble as trouble:
            trouble.at(f".{name}", value)
            raise
        return result

    def read(self, json: Json) -> Any:
        if type(json) is not dict:
            raise unexpected(f"the fields of {type_name(self.cls)}", json)
        values = {}
        for name, item in json.items():
            values[name] = self._read_field(name, item)
        try:
            return self._build(values)
        # Constructors, validators and converters are code of the user.
        except Exception as error:
            reason = f"{type_name(self.cls)} cannot be built from what is stored ({type(error).__name__}: {error})"
            raise Trouble(reason) from error

    def _read_field(self, name: str, json: Json) -> Any:
        try:
            if name not in self._fields:
                raise Trouble(f"{type_name(self.cls)} has no such field")
            return self._fields[name][1].read(json)
        except Trouble as trouble:
            trouble.at(f".{name}")
            raise

    def _build(self, values: dict[str, Any]) -> Any:
        given = ((field.parameter, field.name) for field, _ in self._fields.values() if field.name in values)
        result = self.cls(**{parameter: _spare(values[name]) for parameter, name in given if parameter})
        for name, value in values.items():
            if getattr(result, name, _MISSING) is not value:
                # Also what is frozen is put back: nobody has seen the object yet.
                object.__setattr__(result, name, value)
        return result


# A constructor may add to what it is given, and has done so already.
def _spare(value: Any) -> Any:
    """A copy of what can be changed; what cannot, itself."""
    return value.copy() if isinstance(value, list | dict | set | deque | bytearray) else value


def _check_converter(field: _Field, value: object) -> None:
    if field.converter is None:
        return
    try:
        field.converter(value)
    # A converter is code of the user.
    except Exception as error:
        raise Trouble(
            "the converter of this field does not take the value it made itself "
            f"({type(error).__name__}: {error}), so the object could not be built again; "
            "let it return a value of the right type as it is"
        ) from error


class _DataClass(_Record):
    """The form of an attrs class or a dataclass."""

    def _declared(self, hints: dict[str, Any]) -> Iterable[_Field]:
        if attrs.has(self.cls):
            for attribute in attrs.fields(self.cls):
                name, parameter = attribute.name, attribute.alias if attribute.init else None
                # A converter that also wants the instance cannot be tried by itself.
                converter = None if isinstance(attribute.converter, attrs.Converter) else attribute.converter
                yield _Field(name, parameter, hints.get(name, attribute.type), converter)
        else:
            for field in dataclasses.fields(self.cls):
                yield _Field(field.name, field.name if field.init else None, hints.get(field.name, field.type))

    def write(self, value: Any, depth: int) -> Json:
        if not vars(self.cls).keys() & {"__attrs_attrs__", "__dataclass_fields__"}:
            self._check_attributes(value)
        return super().write(value, depth)

    def _check_attributes(self, value: object) -> None:
        """A subclass that is not decorated itself may have put more into its values than its base has fields for."""
        if others := sorted(getattr(value, "__dict__", {}).keys() - self._fields.keys()):
            raise Trouble(
                f"{type_name(self.cls)} is a subclass of a data class, but no data class itself, and has attributes "
                f"that would be lost ({', '.join(others)}); decorate it, too"
            )


class _NamedTuple(_Record):
    """The form of a named tuple."""

    @cached_property
    def _obstacle(self) -> str:
        return ""

    def _declared(self, hints: dict[str, Any]) -> Iterable[_Field]:
        cls: Any = self.cls
        return [_Field(name, name, hints.get(name, UNKNOWN)) for name in cls._fields]

    def write(self, value: Any, depth: int) -> Json:
        if others := getattr(value, "__dict__", None):
            raise Trouble(f"it is a named tuple with attributes that would be lost ({', '.join(others)})")
        return super().write(value, depth)

    def _build(self, values: dict[str, Any]) -> Any:
        cls: Any = self.cls
        return cls._make(({**cls._field_defaults, **values})[name] for name in cls._fields)


class _Model(_Record):
    """
    The form of a pydantic model.

    Beside its fields it holds the extra ones, the private attributes, and which fields were left to their defaults.
    """

    def _declared(self, hints: dict[str, Any]) -> Iterable[_Field]:
        cls: Any = self.cls
        for name, field in cls.model_fields.items():
            alias = field.validation_alias or field.alias
            if alias is not None and not isinstance(alias, str):
                raise Trouble(f"{type_name(self.cls)} has an alias that is no plain name (field {name!r})")
            yield _Field(name, alias or name, field.annotation)

    @cached_property
    def _obstacle(self) -> str:
        # Pydantic's own constructor takes every field, but its signature leaves out aliases that are no identifiers.
        cls: Any = self.cls
        return "" if cls.__init__.__module__.startswith("pydantic") else super()._obstacle

    def write(self, value: Any, depth: int) -> Json:
        result = super().write(value, depth)
        others = {**(value.__pydantic_extra__ or {}), **(value.__pydantic_private__ or {})}
        for name, item in others.items():
            try:
                if name in result or name in (TAG, _UNSET):
                    raise Trouble("this name of an extra field is taken")
                result[name] = self._types.any.write(item, depth + 1)
            except Trouble as trouble:
                trouble.at(f".{name}", value)
                raise
        if unset := [name for name in self._fields if name not in value.__pydantic_fields_set__]:
            result[_UNSET] = unset
        return result

    def _read_field(self, name: str, json: Json) -> Any:
        cls: Any = self.cls
        if name in self._fields or not (cls.model_config.get("extra") == "allow" or name in cls.__private_attributes__):
            return super()._read_field(name, json)
        try:
            return self._types.any.read(json)
        except Trouble as trouble:
            trouble.at(f".{name}")
            raise

    def read(self, json: Json) -> Any:
        if type(json) is not dict or _UNSET not in json:
            return super().read(json)
        unset = json[_UNSET]
        if type(unset) is not list or any(type(name) is not str for name in unset):
            raise unexpected(f"names of fields in {_UNSET!r}", unset)
        result: Any = super().read({name: item for name, item in json.items() if name != _UNSET})
        result.__pydantic_fields_set__.difference_update(unset)
        return result

    def _build(self, values: dict[str, Any]) -> Any:
        result = super()._build({name: values[name] for name in values if name in self._fields})
        for name in values.keys() - self._fields.keys():
            if name in result.__private_attributes__:
                result.__pydantic_private__[name] = values[name]
            else:
                result.__pydantic_extra__[name] = values[name]
                result.__pydantic_fields_set__.add(name)
        return result


class _Member:
    """The form of an enum: the name of the member; of a flag its number."""

    is_record = False

    def __init__(self, cls: type[Enum], tag: str) -> None:
        self.cls = cls
        self.tag = tag

    def write(self, value: Any, depth: int) -> Json:
        if issubclass(self.cls, Flag):
            return value.value
        # A class may have a `name` of its own.
        name: str = value._name_
        if self.cls.__members__.get(name) is not value:
            raise Trouble(f"it is no member of {type_name(self.cls)} that its name ({name!r}) leads to")
        return name

    def read(self, json: Json) -> Any:
        member = self._flag(json) if issubclass(self.cls, Flag) and type(json) is int else self._named(json)
        if type(member) is not self.cls:
            raise unexpected(f"a member of {type_name(self.cls)}", json)
        return member

    def _named(self, json: Json) -> object:
        return self.cls.__members__.get(json) if type(json) is str else None

    def _flag(self, json: int) -> object:
        try:
            flag = self.cls(json)
            # Python 3.11.0 to 3.11.3 drops the bits that no member has, instead of refusing them.
            if getattr(flag, "value", json) != json:
                raise ValueError("no member has these bits")
            return flag
        # An enum may have code of the user's that is asked for numbers it does not know.
        except Exception as error:
            raise Trouble(f"{json} is no {type_name(self.cls)} ({type(error).__name__}: {error})") from error


_BUILT_IN = (*(leaf.cls for leaf in LEAVES), *ARRAYS, *OBJECTS, deque)


def class_form(cls: type, tag: str, args: tuple[Any, ...], types: Types) -> Form | None:
    """
    The form of a class that a user wrote; None if it is of none of the kinds that are made of values.

    Args:
        args: What its type variables stand for, in their order.
    """
    if issubclass(cls, Enum):
        return _Member(cls, tag)
    if issubclass(cls, tuple) and hasattr(cls, "_fields") and hasattr(cls, "_make"):
        return _NamedTuple(cls, tag, args, types)
    # What such a subclass has beside its fields would be lost.
    if issubclass(cls, _BUILT_IN) or issubclass(cls, BaseException):
        return None
    if attrs.has(cls) or dataclasses.is_dataclass(cls):
        return _DataClass(cls, tag, args, types)
    # What every pydantic model (2.0 and later) has; pydantic is not imported to find out.
    if hasattr(cls, "__pydantic_validator__") and hasattr(cls, "model_fields"):
        return _Model(cls, tag, args, types)
    return None
