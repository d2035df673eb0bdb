"""
A crawler: pages that list pages, and what those say, item by item.

The first pages are found one after the other and read while more are looked for. Each page is a checkpoint of its own:
kill it (`python examples/crawler.py --slow 0.3`) and say `orchwf resume`, and no page that was read is read again. Bad
pages are tried again, and a few may fail for good; the report says which.
"""

import argparse
import asyncio
from collections.abc import Iterator, Sequence
from itertools import chain

from attrs import frozen

import orchwf
from orchwf import Cache, NonRetryable, Queue, Retry, StepContext, step, workflow

TEAS = {"assam": 7, "ceylon": 6, "dooars": 5, "gyokuro": 24, "keemun": 9, "matcha": 31, "sencha": 12, "yunnan": 8}


def made_up(shelves: int) -> dict[str, str]:
    """The pages of a shop, by their addresses: as many lists of teas, each with a link to the next, and the teas."""
    web = {}
    for shelf in range(shelves):
        teas = [f"/{tea}-{shelf}" for tea in TEAS]
        following = [f"/shelf-{shelf + 1}"] if shelf + 1 < shelves else []
        web[f"/shelf-{shelf}"] = "\n".join([*following, *teas])
        web |= {address: f"{address[1:]} {price + shelf}" for address, price in zip(teas, TEAS.values(), strict=True)}
    return web


WEB = made_up(shelves=3)
LOST = {"/dooars-0", "/keemun-2"}

SERVER = Queue("tea-shop", concurrency=4, rate="500/second")
FRESH = Cache(ttl="1d", key=lambda self, address: address)


class Busy(Exception):
    """The server says that it will answer later."""


async def read(address: str, attempt: int, slow: float) -> str:
    """The text of a page. Of green teas the server answers the second time, and those that are lost never."""
    await asyncio.sleep(slow)
    if address in LOST:
        raise NonRetryable(f"404: there is no {address}")
    if address.startswith(("/gyokuro", "/matcha", "/sencha")) and attempt == 1:
        raise Busy(f"503: {address}")
    return WEB[address]


@frozen
class Offer:
    """A tea, and what a tin of it costs."""

    tea: str
    price: int


@frozen
class Report:
    """What there is, the cheapest first, and the pages that could not be read."""

    offers: list[Offer]
    unread: list[str]


@workflow
class Crawl:
    """Everything that a tea shop offers."""

    slow: float = 0.0

    @step
    def shelves(self) -> Iterator[str]:
        """The lists. Each is a checkpoint as soon as it is found, and what follows begins with it."""
        address = "/shelf-0"
        while address:
            yield address
            address = next((link for link in WEB[address].split() if link.startswith("/shelf")), "")

    @step(queue=SERVER, retries=Retry(2, initial=0.01, retry_on=Busy))
    async def links(self, shelf: str = shelves.each, *, ctx: StepContext) -> list[str]:
        text = await read(shelf, ctx.attempt, self.slow)
        return [link for link in text.split() if not link.startswith("/shelf")]

    @step
    def pages(self, links: list[list[str]] = links.all) -> list[str]:
        """All that is linked to, each page once."""
        return list(dict.fromkeys(chain.from_iterable(links)))

    @step(queue=SERVER, cache=FRESH, retries=Retry(2, initial=0.01, retry_on=Busy), tolerate=0.2)
    async def page(self, address: str = pages.each, *, ctx: StepContext) -> str:
        return await read(address, ctx.attempt, self.slow)

    @step
    def offer(self, text: str = page.each) -> Offer:
        """What one page says. It does not wait for the other pages, and is skipped for those that are lost."""
        tea, price = text.split()
        return Offer(tea, int(price))

    @step
    def report(self, pages: list[str] = pages.result, offers: Sequence[Offer | None] = offer.all) -> Report:
        found = [offer for offer in offers if offer is not None]
        unread = [address for address, offer in zip(pages, offers, strict=True) if offer is None]
        return Report(sorted(found, key=lambda offer: (offer.price, offer.tea)), unread)


def main(arguments: Sequence[str] | None = None) -> Report:
    parser = argparse.ArgumentParser(description="What a tea shop offers, as a durable workflow.")
    parser.add_argument("--store", metavar="URL", help="where runs are kept (default: $ORCHWF_STORE, or orchwf.db)")
    parser.add_argument("--slow", type=float, default=0.0, metavar="SECONDS", help="how long a page takes (0)")
    options = parser.parse_args(arguments)

    report = orchwf.run(Crawl(slow=options.slow), store=options.store)[Crawl.report]
    print("\n".join(f"{offer.price:>3} {offer.tea}" for offer in report.offers[:3]))
    print(f"{len(report.offers)} teas; {len(report.unread)} pages could not be read: {', '.join(report.unread)}")
    return report


if __name__ == "__main__":
    main()
