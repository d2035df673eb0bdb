"""From the entrypoint of a class to the class: modules by their names, and by their files."""

import importlib
import importlib.util
import os
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TypeGuard

from .core.dag import DAG_ATTRIBUTE, Dag
from .introspection import PROGRAM


def import_file(path: Path) -> ModuleType:
    """
    The module that a file holds, imported if it is not yet; the same file has the same name in every process.

    What the folder of the file holds can be imported from then on. Raises what the code in it does.

    Raises:
        ImportError: it cannot be loaded as Python.
    """
    package, root = _package_of(path)
    if package:
        # Inside a package its folder comes last: what is in it must not hide modules of the same name.
        sys.path[:] = [str(root), *(each for each in sys.path if each != str(root))]
        if str(path.parent) not in sys.path:
            sys.path.append(str(path.parent))
        importlib.import_module(package)
    else:
        sys.path[:] = [str(root), *(each for each in sys.path if each != str(root))]
    name = f"{package}.{path.stem}" if package else _module_name(path)
    known = sys.modules.get(name)
    return known if known is not None and _is_loaded_from(known, path) else _execute(name, path)


def _package_of(path: Path) -> tuple[str, Path]:
    """The package that a file belongs to, empty if to none, and the folder from which it can be imported."""
    parts: list[str] = []
    folder = path.parent
    while (folder / "__init__.py").is_file() and folder.name.isidentifier():
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts), folder


def _module_name(path: Path) -> str:
    """The same name for the same file always: its own, unless that is taken by something else."""
    stem = path.stem
    taken = sys.modules.get(stem)
    if stem.isidentifier() and stem not in sys.stdlib_module_names and (taken is None or _is_loaded_from(taken, path)):
        return stem
    return f"{re.sub(r'[^0-9A-Za-z_]', '_', stem)}_{zlib.crc32(os.fsencode(path)):08x}"


def _is_loaded_from(module: ModuleType, path: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and os.path.abspath(file) == str(path)


def _execute(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    # Before its body runs: what it defines is to remember the file, as the folder may not be on the path later.
    setattr(module, PROGRAM, True)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def import_workflow(entrypoint: str, name: str) -> type:
    """
    The workflow class that has this entrypoint; raises what the code of its module does.

    Args:
        entrypoint: `module:Class`, or `/path/file.py:Class`.
        name: What the workflow is called.

    Raises:
        ImportError: there is no such module, file or workflow.
    """
    place, _, qualname = entrypoint.rpartition(":")
    if place.endswith(".py"):
        if not os.path.isfile(place):
            raise ImportError(f"there is no file {place}")
        module = import_file(Path(place))
    else:
        module = importlib.import_module(place)
    found = workflow_in(module, qualname, name)
    if found is None:
        raise ImportError(f"{place} has no workflow {qualname!r}")
    return found


def workflow_in(module: ModuleType, qualname: str, name: str) -> type | None:
    """The workflow class in a module that has this name there, or else is called so; None if there is none."""
    value: Any = module
    for part in qualname.split("."):
        value = getattr(value, part, None)
    if is_workflow(value):
        return value
    # A class that make_workflow made may stand under another name than its own.
    return next((each for _, each in workflows_of(module) if _is_called(each, qualname, name)), None)


def workflows_of(module: ModuleType) -> Iterator[tuple[str, type]]:
    """The workflow classes that stand in a module, imported ones too, with their names there."""
    for name, value in list(vars(module).items()):
        if is_workflow(value):
            yield name, value


def is_workflow(value: object) -> TypeGuard[type]:
    """Whether this is a workflow class."""
    return isinstance(value, type) and isinstance(vars(value).get(DAG_ATTRIBUTE), Dag)


def _is_called(workflow: type, qualname: str, name: str) -> bool:
    return workflow.__qualname__ == qualname and vars(workflow)[DAG_ATTRIBUTE].name == name
