"""Put generated text into a page of docs/, between its marks; into docs/benchmarks.md unless another is named."""

from pathlib import Path

from tests.bench.peers.environment import CHECKOUT

PAGE = CHECKOUT / "docs" / "benchmarks.md"


def write(text: str, name: str = "figures", path: Path | None = None) -> None:
    """Replace what is in the page at `path` between `<!-- name -->` and `<!-- /name -->`."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    path = path or PAGE
    page = path.read_text()
    if page.count(begin) != 1 or page.count(end) != 1:
        raise SystemExit(f"{path.name} has no single pair of {begin} and {end}")
    before, rest = page.split(begin)
    after = rest.split(end)[1]
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}")
