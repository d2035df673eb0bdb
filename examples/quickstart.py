"""Hello, world: a workflow of one step."""

import orchwf


@orchwf.workflow
class Hello:
    """Say hello."""

    name: str = "world"

    @orchwf.step
    def greet(self) -> str:
        return f"Hello, {self.name}!"


if __name__ == "__main__":
    print(orchwf.run(Hello())[Hello.greet])
