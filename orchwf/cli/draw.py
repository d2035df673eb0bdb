"""`check` and `graph`: what looks at definitions."""

import asyncio
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from .. import drawing
from ..core.dag import Dag, dag_of
from ..core.lines import Line
from ..core.wording import plural
from ..errors import StoreError
from ..labels import visible
from ..runtime.result import run_picture
from ..views import read_run
from .documents import Document, dag_document, problem_document
from .exits import CommandError, Exit
from .finding import find_run
from .loading import Loaded, is_target, load, load_one, parse_target, shown_path
from .options import Format
from .output import Output
from .places import Place, opened

_SUFFIXES: dict[str, Format] = {
    ".txt": "text", ".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid", ".dot": "dot", ".gv": "dot",
    ".html": "html", ".htm": "html",
}  # fmt: skip


def check(output: Output, targets: Sequence[str]) -> int:
    """Compile the workflows of these targets, and tell all that is wrong with any of them."""
    documents: list[Document] = []
    problems: list[CommandError] = []
    for text in targets:
        try:
            loaded = load(parse_target(text))
        except CommandError as error:
            problems.append(error)
            output.error(error.message)
            continue
        documents += _checked(output, loaded)
    if output.json:
        wrong = [{"message": error.message, "problems": _problems(error)} for error in problems]
        output.document({"workflows": documents, "errors": wrong})
    return max((error.code for error in problems), default=Exit.DONE)


def _problems(error: CommandError) -> list[Document]:
    return [problem_document(problem) for problem in error.problems]


def _checked(output: Output, loaded: Loaded) -> list[Document]:
    documents = []
    for workflow in loaded.workflows:
        dag = dag_of(workflow)
        place = shown_path(loaded.target.file) if loaded.target.file is not None else loaded.target.module
        target = f"{place}:{workflow.__qualname__}"
        counted = ", ".join((
            plural(len(dag.nodes), "step"), plural(len(dag.edges), "edge"), plural(len(dag.generations), "generation")
        ))  # fmt: skip
        output.lines([Line(f"+ {visible(dag.name)}  {target}  {counted}", "completed")])
        documents.append(dag_document(dag, target, list(loaded.warnings)))
    output.lines(Line(f"  ! {visible(warning)}", "paused") for warning in loaded.warnings)
    return documents


def graph(output: Output, place: Place, text: str, *, form: Format | None, file: Path | None) -> int:
    """Draw a workflow, or a run of one. Without `form` the suffix of the file says in which one."""
    form = form or _form_of(file)
    dag, picture = asyncio.run(_picture(output, place, text))
    if output.json:
        output.document(dag.to_dict())
        return Exit.DONE
    drawn = _drawn(picture, form, output.encoding if file is None else "utf-8")
    if file is None:
        output.text(drawn.rstrip("\n"))
        return Exit.DONE
    try:
        file.write_text(drawn, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"the picture cannot be written to {file}: {error.strerror}") from error
    if not output.quiet:
        output.lines([Line(f"+ {visible(dag.name)} drawn to {file}", "completed")])
    return Exit.DONE


def _form_of(file: Path | None) -> Format:
    """What the suffix of a file says; text without one."""
    if file is None or not file.suffix:
        return "text"
    form = _SUFFIXES.get(file.suffix.lower())
    if form is None:
        raise CommandError(
            f"no picture is drawn as {file.suffix}: end {file} in {', '.join(_SUFFIXES)}, or say --format"
        )
    return form


async def _picture(output: Output, place: Place, text: str) -> tuple[Dag, Any]:
    if is_target(text):
        return _picture_of_workflow(output, text)
    try:
        async with opened(place.url) as store:
            found = await read_run(store, await find_run(store, text))
    except (CommandError, StoreError) as error:
        # What is no run may be a module, whose class was left out.
        if isinstance(error, CommandError) and error.code is not Exit.NOT_FOUND:
            raise
        try:
            return _picture_of_workflow(output, text)
        except CommandError as other:
            raise error from other
    if found.dag is None:
        raise CommandError(f"the definition of run {found.record.id!r} is not in the store", Exit.NOT_FOUND)
    return found.dag, run_picture(found.dag, found.result.steps, note=found.report().headline().text[2:])


def _picture_of_workflow(output: Output, text: str) -> tuple[Dag, Any]:
    loaded = load_one(parse_target(text))
    for warning in loaded.warnings:
        output.warn(warning)
    dag = dag_of(loaded.workflows[0])
    return dag, dag.picture()


def _drawn(picture: Any, form: Format, encoding: str) -> str:
    match form:
        case "svg":
            return drawing.to_svg(picture)
        case "mermaid":
            return drawing.to_mermaid(picture)
        case "dot":
            return drawing.to_dot(picture)
        case "html":
            return _page(picture)
        case _:
            return drawing.to_text(picture, encoding=encoding)


def _page(picture: Any) -> str:
    svg = drawing.to_svg(picture)
    # The declaration belongs to a file of its own, not into a page.
    svg = svg[svg.index("<svg") :]
    title = escape(visible(picture.title))
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="viewport" content="width=device-width">\n'
        f"<style>body {{ margin: 1rem; font-family: sans-serif }} svg {{ max-width: 100%; height: auto }}</style>\n"
        f"{svg}\n</html>\n"
    )
