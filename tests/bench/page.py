"""Put generated text into docs/benchmarks.md, between its marks."""

from tests.bench.peers.environment import CHECKOUT

PAGE = CHECKOUT / "docs" / "benchmarks.md"


def write(text: str, name: str = "figures") -> None:
    """Replace what is between `<!-- name -->` and `<!-- /name -->`."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    page = PAGE.read_text()
    if page.count(begin) != 1 or page.count(end) != 1:
        raise SystemExit(f"{PAGE.name} has no single pair of {begin} and {end}")
    before, rest = page.split(begin)
    after = rest.split(end)[1]
    PAGE.write_text(f"{before}{begin}\n{text}\n{end}{after}")
