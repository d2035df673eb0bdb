"""
`start` returns as soon as a run is in the store, before it is done.

Five runs go on in the background; their handles are awaited later, and the store lists them.
"""

import asyncio

from orchwf import Orchestrator, step, workflow


@workflow
class Thumbnails:
    """The small pictures of one album."""

    album: str

    @step
    async def load(self) -> list[str]:
        await asyncio.sleep(0.02)
        return [f"{self.album}-{number}.png" for number in (1, 2, 3)]

    @step
    async def shrink(self, pictures: list[str] = load.result) -> int:
        await asyncio.sleep(0.01)
        return len(pictures)


async def shrink_all(store: str) -> list[int]:
    async with Orchestrator(store, workflows=[Thumbnails]) as orchestrator:
        runs = [
            await orchestrator.start(Thumbnails(album=f"album{number}"), tags={"shop": "eu"}) for number in range(5)
        ]
        print("started:", ", ".join(run.id for run in runs))

        counts = [(await run.result())[Thumbnails.shrink] for run in runs]

        for run in await orchestrator.list_runs(workflow="Thumbnails", status="completed", tags={"shop": "eu"}):
            print(run.id, run.status)
    return counts


def main(store: str = "memory:") -> list[int]:
    counts = asyncio.run(shrink_all(store))
    print(f"{sum(counts)} pictures")
    return counts


if __name__ == "__main__":
    main()
