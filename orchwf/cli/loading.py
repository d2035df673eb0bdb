"""From `file.py:Class` to a workflow class."""

import importlib
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs

from ..core.dag import dag_of
from ..core.lines import brief, relative
from ..core.suggestions import did_you_mean
from ..errors import DefinitionError, OrchwfWarning
from ..importing import import_file, is_workflow
from ..importing import workflows_of as all_workflows_of
from ..runtime.failure import describe_error, user_frames
from .exits import CommandError, Exit

_FILE = re.compile(r"(?P<path>.*\.py)(?::(?P<name>[^/\\]*))?\Z", re.DOTALL | re.IGNORECASE)
_MODULE = re.compile(r"(?P<module>[^\W\d]\w*(?:\.[^\W\d]\w*)*)(?::(?P<name>.*))?\Z", re.DOTALL)
_MOST_FRAMES = 6


@attrs.frozen
class Target:
    """
    Where a workflow class is said to be.

    Attributes:
        file: The path of its file; None if it is named by its module.
        module: The name of its module; empty if it is named by its file.
        name: The qualified name of the class; empty if it was left out.
    """

    file: Path | None
    module: str
    name: str

    def __str__(self) -> str:
        place = shown_path(self.file) if self.file is not None else self.module
        return f"{place}:{self.name}" if self.name else place


@attrs.frozen
class Loaded:
    """The workflow classes of a target, and what the compiler warned of."""

    target: Target
    workflows: tuple[type, ...]
    warnings: tuple[str, ...]


def is_target(text: str) -> bool:
    """Whether this can only be meant as a workflow, not as a run."""
    return _FILE.match(text) is not None or (":" in text and _MODULE.match(text) is not None)


def parse_target(text: str) -> Target:
    """
    The target that a text names.

    Raises:
        CommandError: it names none.
    """
    if match := _FILE.match(text):
        return Target(Path(os.path.abspath(match["path"])), "", match["name"] or "")
    if match := _MODULE.match(text):
        return Target(None, match["module"], match["name"] or "")
    raise CommandError(f"{text!r} names no workflow; write file.py, file.py:Class, or package.module:Class")


def shown_path(path: Path) -> str:
    """The path as a person in this folder would write it."""
    return relative(str(path), os.getcwd())


def load(target: Target) -> Loaded:
    """
    All workflows that a target names: the one class, or all that its module defines.

    Raises:
        CommandError: it cannot be loaded, or there is no such class.
    """
    # What a file prints when it is loaded is not what the command prints, which may be JSON or a picture.
    with _noting_warnings() as noted, redirect_stdout(sys.stderr):
        module = _import(lambda: _load_file(target.file) if target.file is not None else _load_module(target), target)
    found = workflows_of(module)
    if target.name:
        return Loaded(target, (_named(target, module, found),), tuple(noted))
    if not found:
        raise CommandError(f"{target} defines no workflow; decorate a class with @orchwf.workflow")
    return Loaded(target, tuple(found.values()), tuple(noted))


def load_one(target: Target) -> Loaded:
    """
    The one workflow that a target names.

    Raises:
        CommandError: as `load`; or there are several, and none is named.
    """
    loaded = load(target)
    if len(loaded.workflows) > 1:
        choices = "\n".join(f"  {target}:{workflow.__qualname__}" for workflow in loaded.workflows)
        raise CommandError(f"{target} defines {len(loaded.workflows)} workflows; name one of them:\n{choices}")
    return loaded


def workflows_of(module: ModuleType) -> dict[str, type]:
    """Name -> workflow, of those that a module defines; if it defines none, of those that it imports."""
    found: dict[str, type] = {}
    for name, value in all_workflows_of(module):
        if value not in found.values():
            found[name] = value
    own = {name: value for name, value in found.items() if value.__module__ == module.__name__}
    return own or found


def _named(target: Target, module: ModuleType, found: dict[str, type]) -> type:
    value: Any = module
    for part in target.name.split("."):
        value = getattr(value, part, None)
    if value is None:
        # A class that make_workflow made may stand under another name than its own.
        value = next((each for each in found.values() if target.name in (each.__qualname__, dag_of(each).name)), None)
    if value is None:
        hint = did_you_mean(target.name, list(found), "workflows")
        raise CommandError(f"{attrs.evolve(target, name='')} has no {target.name!r}. {hint}".rstrip(), Exit.NOT_FOUND)
    if not is_workflow(value):
        hint = did_you_mean(target.name, list(found), "workflows")
        raise CommandError(f"{target} is no workflow; decorate the class with @orchwf.workflow. {hint}".rstrip())
    return value


# Modules.


def _load_module(target: Target) -> ModuleType:
    if os.getcwd() not in sys.path:
        # As `python -m` does.
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(target.module)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{target.module}.".startswith(f"{error.name}."):
            raise CommandError(
                f"there is no module {error.name!r} here; for a file write its path, such as flows/sales.py",
                Exit.NOT_FOUND,
            ) from None
        raise


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise CommandError(f"{shown_path(path)} {what}; name a Python file", Exit.NOT_FOUND)
    return import_file(path)


# What goes wrong in the user's file.


def _import(load: Callable[[], ModuleType], target: Target) -> ModuleType:
    try:
        return load()
    except (CommandError, KeyboardInterrupt):
        raise
    except DefinitionError as error:
        raise CommandError(str(error), Exit.USAGE, error.problems) from error
    except SystemExit as error:
        raise CommandError(
            f"{target} ends the program when it is loaded; "
            "put what it does as a script under  if __name__ == '__main__':"
        ) from error
    # The user's own code: a module may raise anything.
    except BaseException as error:
        raise CommandError(_told(target, error)) from error


def _told(target: Target, error: BaseException) -> str:
    """What was raised while a file was loaded, with the frames of the user only."""
    lines = [f"{attrs.evolve(target, name='')} cannot be loaded: {brief(describe_error(error).headline)}"]
    frames = user_frames(error.__traceback__)[-_MOST_FRAMES:]
    if isinstance(error, SyntaxError) and error.filename:
        frames.append((f"{error.filename}:{error.lineno}", (error.text or "").strip()))
    for location, source in frames:
        lines += [f"  {relative(location, os.getcwd())}", *([f"    {brief(source)}"] if source else [])]
    return "\n".join(lines)


@contextmanager
def _noting_warnings() -> Iterator[list[str]]:
    """Gives the list of what the compiler warns of in the block; other warnings go where they would have gone."""
    noted: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        # Pushed in front, so that only ours are told always.
        warnings.simplefilter("always", OrchwfWarning)
        yield noted
    for each in caught:
        if issubclass(each.category, OrchwfWarning):
            noted.append(str(each.message))
        else:
            warnings.showwarning(each.message, each.category, each.filename, each.lineno)
