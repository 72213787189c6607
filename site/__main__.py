"""`python site`: builds the pages, checks their links, and shows them if asked to."""

import argparse
import http.server
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from building import ROOT, build
from links import problems
from pages import REFERENCE


def main() -> int:
    """Build the site as the arguments say; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="scripts/site", description="Build the documentation as static pages."
    )
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site", help="folder for the pages")
    parser.add_argument(
        "--without-reference", action="store_true", help="leave the API reference out, for speed"
    )
    parser.add_argument(
        "--serve", type=int, metavar="PORT", help="then show the pages at http://localhost:PORT"
    )
    given = parser.parse_args()
    # Built beside and then moved: what was there is a site until there is a new one.
    given.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".site-", dir=given.out.parent) as folder:
        made = Path(folder) / "site"
        build(made, reference=() if given.without_reference else REFERENCE)
        if found := problems(made):
            print(
                *found,
                f"{len(found)} links lead nowhere or to another host's files",
                sep="\n",
                file=sys.stderr,
            )
            return 1
        if given.out.exists():
            if not (given.out / "search" / "search_index.json").exists():
                parser.error(f"--out: {given.out} is there and is no site; it is not replaced")
            shutil.rmtree(given.out)
        made.chmod(0o755)
        made.rename(given.out)
    print(f"{len(list(given.out.rglob('*.html')))} pages are in {given.out}")
    if given.serve is not None:
        handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(given.out))
        with http.server.ThreadingHTTPServer(("127.0.0.1", given.serve), handler) as server:
            print(f"http://localhost:{given.serve}/ until Ctrl-C")
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
