"""Pages made of templates, in which every text of a user is text, and nothing else."""

from pathlib import Path
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from ..core.wording import age_text, duration_text, plural, size_text
from ..labels import visible
from ..views import clock_time, local_time
from .looks import coloured, icon, word


def link(path: str, **query: object) -> str:
    """The path with these words in its query; those that are empty are left out."""
    said = {name.rstrip("_"): str(value) for name, value in query.items() if value not in (None, "", False)}
    return f"{path}?{urlencode(said, errors='replace')}" if said else path


def templates(folder: Path) -> Environment:
    """
    Templates in which every text of a user is shown as text: escaped, and with nothing in it that cannot be seen.
    """
    made = Environment(
        loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=_shown,
    )  # fmt: skip
    made.globals.update(link=link, icon=icon, word=word, key=_key, back=_back, next_here=_next_here)
    made.filters.update(
        lines=_lines, raw=_raw, coloured=coloured, clock=clock_time, local=local_time, duration=duration_text,
        age=age_text, size=size_text, plural=plural,
    )  # fmt: skip
    return made


def _shown(value: object) -> object:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _lines(text: str) -> Markup:
    """The text with its lines, each of which is made visible."""
    return Markup("\n").join(escape(visible(line.replace("\t", "    "))) for line in text.split("\n"))


def _raw(text: str) -> Markup:
    """The text as it is, for what comes back with a form: escaped, and what cannot be seen as the number of it."""
    escaped = str(escape(text.encode(errors="replace").decode()))
    return Markup("".join(each if each.isprintable() else f"&#{ord(each)};" for each in escaped))  # noqa: S704


@pass_context
def _next_here(context: Context) -> str:
    """The address of this page, without the prefix of the dashboard."""
    query: str = context["query"]
    return f"{context['here'].removeprefix(context['base'])}{f'?{query}' if query else ''}"


@pass_context
def _key(context: Context) -> Markup:
    """The field of a form that says that the form is of this session."""
    return Markup('<input type="hidden" name="form_key" value="{}">').format(context["form_key"])


@pass_context
def _back(context: Context) -> Markup:
    """The fields of a form after which this page comes again."""
    return _key(context) + Markup('<input type="hidden" name="next" value="{}">').format(_next_here(context))
