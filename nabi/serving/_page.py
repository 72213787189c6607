"""The page at `/`, where the models of a server can be tried."""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from nabi import models as kinds
from nabi.serving._endpoint import Endpoint
from nabi.shipping import Page, is_song, song_facts, write_page

__all__ = ["page_endpoint", "read_by_page"]

_COMMENT = "tries the models of the server that it comes from; written by nabi. It asks no other host."


def page_endpoint() -> Endpoint:
    """Return the endpoint of the page: it is the same for all servers, and open.

    What it shows of models it asks the server for, with the key that its reader types.
    """

    async def answer(request: Request) -> Response:
        text, policy = _page()
        headers = {"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"}
        return HTMLResponse(text, headers=headers | {"Referrer-Policy": "no-referrer"})

    return Endpoint("GET", "/", answer, "A page where the models can be tried.", open=True)


@cache
def _page() -> tuple[bytes, str]:
    """Return the page, and the policy that allows it nothing but its own script and this server."""
    folder = Path(__file__).parent / "page"
    page = Page("server", "nabi", (), song_facts(), scripts=("sound.mjs",), folder=folder, comment=_COMMENT)
    content = write_page(page)
    scripts = re.findall(r'<script type="module">(.*?)</script>', content.decode(), re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts]
    policy = [
        "default-src 'none'",
        "script-src " + " ".join(f"'sha256-{one}'" for one in digests),
        "style-src 'unsafe-inline'",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    return content, "; ".join(policy)


def read_by_page(model: Any, sessions: Any) -> dict[str, Any]:
    """Return what the page has to know of a model beside what the protocol tells.

    Args:
        model: that is served.
        sessions: of the model, or None.
    """
    of_texts = kinds.TextClassifier | kinds.TextRegressor
    return {
        "song": is_song(model),
        "texts": isinstance(model, of_texts | kinds.Tagger | kinds.DNAClassifier | kinds.DNARegressor),
        # Words of a text can be left out, and each label has a probability.
        "moves": isinstance(model, kinds.TextClassifier),
        "aspects": isinstance(model, of_texts) and bool(model.has_aspects),
        # What it reads beside a text has no field there.
        "columns": isinstance(model, of_texts) and model.other_columns is not None,
        "clips": isinstance(model, kinds.ClipClassifier),
        "input": None if sessions is None else sessions.input_width,
        "codes": 0 if sessions is None else sessions.codes,
    }
