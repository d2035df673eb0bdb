"""
A step with `when` runs only if its condition holds; `(a | b).result` takes the output of the branch that ran.

The compiler knows the three values that `plan` can give: a condition on a fourth would not compile.
"""

from typing import Literal

import orchwf
from orchwf import step, workflow


@workflow
class Welcome:
    """A greeting that suits the plan of a user."""

    user: int

    @step
    def plan(self) -> Literal["basic", "premium", "enterprise"]:
        if self.user % 3 == 0:
            return "basic"
        return "enterprise" if self.user % 5 == 0 else "premium"

    @step(when=plan.is_("basic"))
    def tour(self) -> str:
        return "a tour"

    @step(when=plan.is_("premium"))
    def support(self) -> str:
        return "a line to support"

    @step(when=plan.is_("enterprise"))
    def manager(self) -> str:
        return "an account manager"

    @step
    def greet(self, gift: str = (tour | support | manager).result) -> str:
        return f"Welcome, user {self.user}! You have {gift}."


def main(users: tuple[int, ...] = (15, 10, 7), store: str = "memory:") -> list[str]:
    greetings = [orchwf.run(Welcome(user=user), store=store)[Welcome.greet] for user in users]
    print("\n".join(greetings))
    return greetings


if __name__ == "__main__":
    main()
