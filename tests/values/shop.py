"""Classes of all kinds, as users write them."""

import dataclasses
import enum
from collections import namedtuple
from dataclasses import KW_ONLY, InitVar, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Generic, NamedTuple, TypedDict, TypeVar

import attrs
import pydantic

T = TypeVar("T")
U = TypeVar("U")


class Color(enum.Enum):
    RED = 1
    GREEN = "green"
    CRIMSON = 1  # noqa: PIE796 - an alias


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Mood(enum.StrEnum):
    GOOD = "good"
    BAD = "bad"


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class Conforming(enum.Flag, boundary=enum.CONFORM):
    """A flag that drops what it does not know."""

    ONE = 1
    TWO = 2


class Odd(enum.Enum):
    """An enum that makes members up."""

    ONE = 1

    @classmethod
    def _missing_(cls, value: object) -> "Odd":
        member = object.__new__(cls)
        member._name_ = "MADE_UP"
        member._value_ = value  # type: ignore[assignment]
        return member


class Named(enum.Enum):
    """Its members have names of another kind."""

    FIRST = "the first"

    @property
    def name(self) -> str:
        return self.value


@attrs.frozen
class Item:
    name: str
    price: Decimal = Decimal("1.50")


@attrs.frozen
class Special(Item):
    reason: str = "sale"


@attrs.define
class Order:
    order_id: str
    items: list[Item] = attrs.field(factory=list)
    created_at: datetime | None = None
    parent: "Order | None" = None


@attrs.define(kw_only=True)
class Guarded:
    """Every option of a field that changes how it is built."""

    _secret: int
    size: int = attrs.field(default=1, alias="length", validator=attrs.validators.ge(0))
    number: int = attrs.field(default=7, converter=int)
    doubled: int = attrs.field(
        default=0,
        converter=attrs.Converter(lambda value, self: value * 2, takes_self=True),  # type: ignore[misc]
    )
    note: str = attrs.field(init=False)
    total: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.total = self.size * 10


@attrs.define
class Stubborn:
    """Its converter does not take what it made."""

    words: list[str] = attrs.field(converter=lambda text: text.split())


@attrs.define(init=False)
class OwnConstructor:
    size: int

    def __init__(self, *, width: int, height: int) -> None:
        self.size = width * height


@attrs.define
class Box(Generic[T]):
    content: T
    label: str = ""


@attrs.define
class Crate(Box[list[U]], Generic[U]):
    spare: U | None = None


@attrs.define(slots=False)
class Loose:
    size: int = 0


class LooseChild(Loose):
    """A subclass that forgot the decorator."""


@dataclass
class Point:
    x: int
    y: float = 0.0
    kind: ClassVar[str] = "point"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    at: datetime
    tags: frozenset[str] = frozenset()


@dataclass
class Derived:
    width: int
    _: KW_ONLY
    scale: InitVar[int] = 2
    area: int = dataclasses.field(init=False)
    note: str = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self, scale: int) -> None:
        self.area = self.width * scale


@dataclass
class NeedsMore:
    width: int
    scale: InitVar[int]


@dataclass
class Picky:
    size: int

    def __post_init__(self) -> None:
        if self.size > 100:
            raise ValueError("too large")


@dataclass
class Growing:
    """Its constructor changes what it is given."""

    items: list[str]
    sizes: dict[str, int]

    def __post_init__(self) -> None:
        self.items.append("more")
        self.sizes[f"more{len(self.sizes)}"] = 1


@dataclass
class Words(list[str]):
    """A data class that is a list, too."""

    language: str = "en"


@attrs.define
class Failure(Exception):
    """An exception with fields."""

    code: int


class Pair(NamedTuple):
    left: int
    right: str = "r"


OldPair = namedtuple("OldPair", ["a", "b"])  # noqa: PYI024 - as old code has it


class TaggedPair(OldPair):
    """A named tuple whose values can have attributes."""


class Address(TypedDict, total=False):
    street: str
    since: datetime
    next: "Address"


class Person(pydantic.BaseModel):
    name: str
    born: datetime | None = None
    age: int = pydantic.Field(default=0, ge=0, alias="years")
    friends: list["Person"] = []
    _visits: int = pydantic.PrivateAttr(default=0)


class Open(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow", frozen=True)

    size: int = 1


class Aliased(pydantic.BaseModel):
    size: int = pydantic.Field(default=1, validation_alias=pydantic.AliasChoices("a", "b"))


class Text(str):
    """A subclass of str that nobody knows."""

    __slots__ = ()


class OwnModel(pydantic.BaseModel):
    size: int

    def __init__(self, width: int) -> None:
        super().__init__(size=width)


class Roots(pydantic.RootModel[list[int]]):
    pass


class Hyphened(pydantic.BaseModel):
    size: int = pydantic.Field(alias="the-size")


class Rude:
    """Nothing of this may ever be called by reading."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise AssertionError("called")

    class Inner:
        pass


@attrs.frozen
class Unhashable:
    """Raises when it is hashed."""

    size: int = 0

    def __hash__(self) -> int:
        raise RuntimeError("no hash today")


@attrs.frozen
class Replaced:
    """What was bound to this name first is not there any more."""


FIRST_REPLACED = Replaced


@attrs.frozen
class Replaced:  # type: ignore[no-redef]
    """What is bound to the name now."""
