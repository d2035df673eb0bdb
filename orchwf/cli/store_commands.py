"""The commands about a store as a whole, and those that begin a project: what they take, and what their help says."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from ..core.state import RunStatus
from . import options
from .common import DEFAULTS, Common
from .exits import Exit


def add_to(app: App) -> None:
    """Let the program have these commands, too."""
    app.command(prune, sort_key=16)
    app.command(migrate, sort_key=17)
    app.command(init, sort_key=18)

    @app.command(sort_key=19)
    def completion(
        shell: Annotated[Literal["bash", "zsh", "fish", "powershell"], Parameter(help="Which shell.")],
        /,
        *,
        common: Common = DEFAULTS,
    ) -> int:
        """
        Print what makes a shell complete the commands and options of orchwf.

        orchwf completion bash > ~/.local/share/bash-completion/completions/orchwf
        orchwf completion zsh > ~/.zfunc/_orchwf
        orchwf completion fish > ~/.config/fish/completions/orchwf.fish
        """
        script = app.generate_completion(prog_name="orchwf", shell=shell)
        if common.json:
            common.output.document({"shell": shell, "script": script})
        else:
            common.output.text(script.rstrip("\n"))
        return Exit.DONE


def prune(
    *,
    older_than: Annotated[str, Parameter(help="How long ago they have to have ended: 12h, 30d.")],
    status: Annotated[
        list[RunStatus] | None, Parameter(negative="", help="Only runs that ended so. Repeatable.")
    ] = None,
    common: Common = DEFAULTS,
) -> int:
    """
    Delete runs that ended long ago, with those that they started, and all that is kept of them.

    orchwf prune --older-than 30d
    orchwf prune --older-than 7d --status completed

    A run for which another one waits is kept. Outputs kept for other runs that
    are out of date go, too, and large values that nothing refers to.
    """
    from . import keeping

    return options.run_async(keeping.prune(common.output, common.place, older_than, status or []))


def migrate(*, common: Common = DEFAULTS) -> int:
    """
    Give a store the newest schema now; whatever opens it first would do so otherwise.

    orchwf migrate --store postgresql://me@db/orders

    It goes forward only: an older orchwf refuses the store afterwards. Where
    there is no store yet, an empty one is made.
    """
    from . import keeping

    return options.run_async(keeping.migrate(common.output, common.place))


def init(
    folder: Annotated[Path, Parameter(help="Where; it is made if it is not there.")] = Path(),
    /,
    *,
    example: Annotated[
        bool, Parameter(negative="", help="A workflow that fails once, to be mended and resumed.", show_default=False)
    ] = False,
    common: Common = DEFAULTS,
) -> int:
    """
    Write a small project that runs: a workflow and a test of it. Nothing that is there is overwritten.

    orchwf init orders
    orchwf init tour --example
    """
    from .projects import write_project

    return write_project(common.output, folder, "example" if example else "small")
