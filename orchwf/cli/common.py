"""The options that every command takes."""

from typing import TYPE_CHECKING, Annotated

import attrs
from cyclopts import Group, Parameter

from .output import Output

if TYPE_CHECKING:
    from .places import Place

_EVERYWHERE = Group("Everywhere", sort_key=10)


@Parameter(name="*", group=_EVERYWHERE)
@attrs.frozen(kw_only=True)
class Common:
    """What every command takes."""

    store: Annotated[
        str | None,
        Parameter(help="Where runs are kept; otherwise $ORCHWF_STORE, or sqlite:///orchwf.db.", show_default=False),
    ] = None
    json: Annotated[bool, Parameter(negative="", help="Print JSON.", show_default=False)] = False
    no_color: Annotated[
        bool, Parameter(negative="", help="No colours; NO_COLOR does the same.", show_default=False)
    ] = False
    quiet: Annotated[
        bool, Parameter(name=["--quiet", "-q"], negative="", help="Only what matters.", show_default=False)
    ] = False
    verbose: Annotated[
        bool, Parameter(name=["--verbose", "-v"], negative="", help="Whole tracebacks.", show_default=False)
    ] = False

    @property
    def output(self) -> Output:
        """Where to print, as these options say."""
        return Output(json=self.json, quiet=self.quiet, verbose=self.verbose, color=not self.no_color)

    @property
    def place(self) -> "Place":
        """The store that these options name."""
        from ..stores import default_store  # Help is shown without any store.
        from ..stores.urls import without_password
        from .places import Place

        return Place(url=self.store or default_store(), named=without_password(self.store or ""))


DEFAULTS = Common()
"""What a command takes if none of them is given."""
