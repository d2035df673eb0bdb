"""How statuses look in a page: always a word and an icon, in the colours of the pictures."""

from markupsafe import Markup, escape

from ..core.lines import STOPPED
from ..core.state import RunStatus
from ..drawing import STATUSES, themed_stylesheet

_LIKE = {RunStatus.SCHEDULED: "pending", RunStatus.PAUSED: "waiting", STOPPED: "retrying"}
"""What only a run can be -> the status of a step that looks alike."""


def look_of(status: str) -> str:
    """The status of a step whose look this one has."""
    return _LIKE.get(status, status if status in STATUSES else "pending")


def icon(status: str) -> Markup:
    """The icon of a status, as SVG."""
    path = STATUSES[look_of(status)].icon
    return Markup('<svg class="icon" viewBox="0 0 10 10" aria-hidden="true"><path d="{}"/></svg>').format(path)


def coloured(text: Markup, status: str) -> Markup:
    """Something in the colours of a status."""
    return Markup('<span class="status s-{}">{}</span>').format(look_of(status), text)


def word(status: str) -> Markup:
    """A status as word and icon."""
    return Markup('<span class="status s-{}">{}{}</span>').format(look_of(status), icon(status), escape(status))


def stylesheet() -> str:
    """The colours of all statuses, and of pictures, as CSS that follows the theme of the page."""
    rules = [themed_stylesheet()]
    for name, look in STATUSES.items():
        (fill, line), (dark_fill, dark_line) = look.light, look.dark
        rules.append(f".s-{name}{{--fill:light-dark({fill},{dark_fill});--line:light-dark({line},{dark_line})}}")
    return "\n".join(rules)
