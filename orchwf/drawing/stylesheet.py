"""The colours and lines of a picture as CSS: no variables, no fonts of its own, nothing that must be fetched."""

from collections.abc import Iterable, Sequence

from .picture import LOOKS

_FONT = 'system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Ubuntu,"Noto Sans","DejaVu Sans",Arial,sans-serif'
_LIGHT = {"page": "#ffffff", "rim": "#d1d9e0", "box": "#f6f8fa", "line": "#818b98", "text": "#1f2328", "dim": "#59636e"}
_DARK = {"page": "#0d1117", "rim": "#3d444d", "box": "#212830", "line": "#8b949e", "text": "#f0f6fc", "dim": "#a5aeb8"}


_FIXED = (
    f".orchwf text{{font-family:{_FONT};font-size:11px;white-space:pre}}"
    ".orchwf .title{font-size:15px;font-weight:600}.orchwf .name{font-size:13px}"
    ".orchwf .page,.orchwf .box{stroke-width:1}.orchwf .bar{stroke:none}.orchwf .track{opacity:.25}"
    ".orchwf .when .box{stroke-dasharray:5 3}.orchwf .optional .box{stroke-dasharray:1.5 3;stroke-linecap:round}"
    ".orchwf .optional.when .box{stroke-dasharray:5 3 1 3}"
    ".orchwf .frame{fill:none;stroke-width:1}"
    ".orchwf .arrow{fill:none;stroke-width:1.3}.orchwf .dashed{stroke-dasharray:4 4}"
    ".orchwf .on,.orchwf .mid{text-anchor:middle}"
    ".orchwf .on{stroke-width:4;stroke-linejoin:round;paint-order:stroke}"
    ".orchwf .icon,.orchwf .mark{fill:none;stroke-linecap:round;stroke-linejoin:round}"
    ".orchwf .icon{stroke-width:1.8}.orchwf .mark{stroke-width:1.3}"
)

TIMELINE = (
    ".orchwf .hatch{fill:none;stroke-width:1}.orchwf .grid{stroke-width:.5;opacity:.6}"
    ".orchwf .strong{font-weight:600}.orchwf .span .box{stroke-width:1}"
    ".orchwf .cut{stroke-dasharray:2 3}.orchwf .work{stroke:none}.orchwf .floor{fill:none;pointer-events:all}"
)
"""The rules that only timelines have."""


def stylesheet(statuses: Iterable[str], *, extra: str = "") -> str:
    """
    The rules for a picture in which these statuses occur, first for light pages, then for dark ones.

    Args:
        extra: Rules that only this sort of picture has, which name no colours.
    """
    present = set(statuses)
    used = [status for status in LOOKS if status in present]
    light, dark = _colours(_LIGHT, used, "light"), _colours(_DARK, used, "dark")
    return f"{_FIXED}{extra}{light}@media (prefers-color-scheme:dark){{{dark}}}"


def themed_stylesheet() -> str:
    """
    The rules for all pictures in a page that has a theme of its own: `data-theme`, `light` or `dark`, of its root.

    Without one they follow the reader's preference.
    """
    light, dark = (_colours(base, list(LOOKS), scheme) for base, scheme in ((_LIGHT, "light"), (_DARK, "dark")))
    by_preference = f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}"
    return f"{_FIXED}{TIMELINE}\n{light}\n{by_preference}\n:root[data-theme=dark]{{{dark}}}"


def _colours(base: dict[str, str], statuses: Sequence[str], scheme: str) -> str:
    rules = (
        f".orchwf text{{fill:{base['text']}}}.orchwf .trait,.orchwf .on{{fill:{base['dim']}}}"
        f".orchwf .page{{fill:{base['page']};stroke:{base['rim']}}}.orchwf .on{{stroke:{base['page']}}}"
        f".orchwf .box{{fill:{base['box']};stroke:{base['line']}}}"
        f".orchwf .frame{{stroke:{base['line']}}}.orchwf .mark{{stroke:{base['dim']}}}"
        f".orchwf .arrow,.orchwf .grid{{stroke:{base['line']}}}.orchwf .head{{fill:{base['line']}}}"
        f".orchwf .critical{{fill:{base['text']}}}"
    )
    for status in statuses:
        fill, line = LOOKS[status].light if scheme == "light" else LOOKS[status].dark
        rules += (
            f".orchwf .{status} .box{{fill:{fill};stroke:{line}}}.orchwf .{status} .bar{{fill:{line}}}"
            f".orchwf .{status} .frame,.orchwf .{status} .hatch{{stroke:{line}}}"
            f".orchwf .arrow.{status}{{stroke:{line};stroke-width:2.2}}"
            f".orchwf .{status} .icon{{stroke:{line}}}.orchwf .{status} .state{{fill:{line}}}"
        )
    return rules
