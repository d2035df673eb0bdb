"""The names by which stored values remember their classes."""

import importlib
import sys
from types import ModuleType

from .form import Trouble, type_name


def class_tag(cls: type, module: str) -> str:
    """How a class is named in a stored value: `module:Qualname`, without the module if it is this one."""
    return f"{'' if cls.__module__ == module else cls.__module__}:{cls.__qualname__}"


def find_class(tag: str, module: str) -> type:
    """
    The class that `class_tag` gave this name.

    Nothing is called, the text may come from anywhere; but a module is imported if it is not yet.

    Raises:
        Trouble: there is no class of this name.
    """
    name, _, qualname = tag.partition(":")
    found: object = _find_module(name or module, tag)
    for part in qualname.split("."):
        # Unlike getattr(), vars() runs no descriptor and no __getattr__ of a module.
        found = vars(found).get(part) if isinstance(found, ModuleType | type) else None
    if not isinstance(found, type):
        raise Trouble(f"there is no class {tag!r}; was it renamed or moved?")
    return found


def _find_module(name: str, tag: str) -> ModuleType:
    if module := sys.modules.get(name):
        return module
    try:
        return importlib.import_module(name)
    # A module runs code of its own when it is imported.
    except Exception as error:
        reason = f"the module of class {tag!r} cannot be imported ({type(error).__name__}: {error})"
        raise Trouble(reason) from error


def check_findable(cls: type, tag: str, module: str) -> None:
    """
    Make sure that this name leads back to the class, now at least.

    Raises:
        Trouble: it does not.
    """
    if "<locals>" in tag:
        raise Trouble(
            f"it is of the local class {type_name(cls)}, which no other process can find; "
            "define the class at the top level of a module, or annotate what returns it with the class"
        )
    try:
        found = find_class(tag, module)
    except Trouble:
        found = None
    if found is not cls:
        raise Trouble(
            f"it is of the class {type_name(cls)}, but that name does not lead to the class (any more); "
            "define the class at the top level of a module under its own name"
        )
