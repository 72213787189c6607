"""Routes by task: labels of texts and recordings, translations, forecasts, and text as it is written."""

import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator
from io import BytesIO
from itertools import islice
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from nabi import models as kinds
from nabi.data import read_header
from nabi.errors import ArgumentError, FileFormatError
from nabi.serving._arrays import array, finite, is_unicode
from nabi.serving._body import Body, read_bytes, read_json
from nabi.serving._deadline import Deadline
from nabi.serving._endpoint import Endpoint, Fields
from nabi.serving._limits import Limits
from nabi.serving._models import Models, ServedModel
from nabi.serving._refused import RefusedError

__all__ = ["task_endpoints"]

_TEXTS = {"type": "array", "items": {"type": "string"}}
_MODEL = {"type": "string", "description": "Name of a model; needed if several do this."}
_RECORDINGS: Fields = {
    "recordings": {
        "type": "array",
        "items": {"type": "array", "items": {"type": "number"}},
        "description": "Samples from -1 to 1 of each recording.",
    },
    "rate": {"type": "integer", "description": "Samples per second; by default that of the model."},
}
_COLUMNS = {
    "type": "object",
    "additionalProperties": {"type": "array"},
    "description": "Cells of the other columns that the model was trained with, one for each text.",
}
_CLASSIFY: Fields = {
    "model": _MODEL,
    "texts": {**_TEXTS, "description": "Texts, also for a tagger, or sequences of DNA."},
    "aspects": {**_TEXTS, "description": "What each text is asked about, if the model was trained so."},
    "columns": _COLUMNS,
    "sequences": {
        "type": "array",
        "description": "Series [steps, channels], or clips [frames, rows, columns, 3] of bytes.",
    },
    **_RECORDINGS,
}
_CLASSIFY_SAID = "Labels, or tags of tokens, with their probabilities; the body may also be one WAV file."
_ESTIMATE: Fields = {
    "model": _MODEL,
    "texts": {**_TEXTS, "description": "Texts, or sequences of DNA."},
    "aspects": {**_TEXTS, "description": "What each text is asked about, if the model was trained so."},
    "columns": _COLUMNS,
    "sequences": {"type": "array", "description": "Series [steps, channels]."},
}
_ESTIMATE_SAID = "A number for each text, series or sequence of DNA."
_RECOGNISE: Fields = {"model": _MODEL, **_RECORDINGS}
_TRANSLATE: Fields = {
    "model": _MODEL,
    "texts": _TEXTS,
    "beam": {"type": "integer", "minimum": 1, "maximum": 32, "default": 5},
    "length_penalty": {"type": "number", "minimum": 0, "maximum": 10, "default": 1},
}
_FORECAST: Fields = {
    "model": _MODEL,
    "table": {
        "type": "object",
        "additionalProperties": {"type": "array"},
        "description": "Columns as in training; by default the series of the training.",
    },
    "horizon": {
        "type": "integer",
        "minimum": 1,
        "description": "Steps to forecast; by default as in training.",
    },
}
_WRITE: Fields = {
    "model": _MODEL,
    "start": {"type": "string", "default": "", "description": "Text to continue."},
    "length": {
        "type": "integer",
        "minimum": 1,
        "default": 200,
        "description": "Characters or words at most.",
    },
    "temperature": {"type": "number", "minimum": 0, "maximum": 100, "default": 0.8},
    "top_k": {"type": "integer", "minimum": 1},
    "top_p": {"type": "number", "default": 1},
    "repetition_penalty": {"type": "number", "default": 1},
    "seed": {"type": "integer", "minimum": 0, "default": 0},
    "stream": {
        "type": "boolean",
        "default": True,
        "description": "Server-sent events, one for each piece; else one JSON object.",
    },
}
_PIECES_AT_ONCE = 8


def task_endpoints(models: Models) -> list[Endpoint]:
    """Return an endpoint for each task that one of these models does."""
    limits = models.limits

    async def classify(request: Request) -> Response:
        key: Hashable
        if _is_wav(request):
            model = models.for_task("classify", request.query_params.get("model", ""))
            key, compute, items = "recordings", _listening(model), [await _recording(request, model, limits)]
        else:
            body = await read_json(request, limits, _CLASSIFY)
            model = models.for_task("classify", body.text("model"))
            key, compute, items = _classification(model, body, limits)
        results = await model.worker.answer(key, compute, items, Deadline.of(request), size=_size(items))
        return JSONResponse({"model": model.name, "results": results})

    async def estimate(request: Request) -> Response:
        body = await read_json(request, limits, _ESTIMATE)
        model = models.for_task("estimate", body.text("model"))
        key, compute, items = _estimation(model, body, limits)
        results = await model.worker.answer(key, compute, items, Deadline.of(request), size=_size(items))
        return JSONResponse({"model": model.name, "results": results})

    async def recognise(request: Request) -> Response:
        if _is_wav(request):
            model = models.for_task("recognise", request.query_params.get("model", ""))
            items = [await _recording(request, model, limits)]
        else:
            body = await read_json(request, limits, _RECOGNISE)
            model = models.for_task("recognise", body.text("model"))
            items = _recordings(model, body, limits)
        results = await model.worker.answer("recordings", _listening(model), items, Deadline.of(request))
        return JSONResponse({"model": model.name, "results": results})

    async def translate(request: Request) -> Response:
        body = await read_json(request, limits, _TRANSLATE)
        model = models.for_task("translate", body.text("model"))
        beam, penalty = body.whole("beam", 5, 1, 32), body.number("length_penalty", 1.0, 0, 10)

        def compute(texts: list[str]) -> list[Any]:
            found = model.model.translate(texts, beam=beam, length_penalty=penalty)
            return [{"text": one.text, "score": one.score} for one in found]

        key, texts = ("translate", beam, penalty), body.texts("texts")
        results = await model.worker.answer(key, compute, texts, Deadline.of(request))
        return JSONResponse({"model": model.name, "results": results})

    async def forecast(request: Request) -> Response:
        body = await read_json(request, limits, _FORECAST)
        model = models.for_task("forecast", body.text("model"))
        horizon = body.whole("horizon", 0, 1, min(limits.steps, 100_000)) or None
        table = _table(body.fields["table"], limits) if "table" in body else None

        def compute(tables: list[Any]) -> list[Any]:
            return [
                [_forecast(one) for one in model.model.forecast(given, horizon=horizon)] for given in tables
            ]

        found = await model.worker.answer(object(), compute, [table], Deadline.of(request))
        return JSONResponse({"model": model.name, "results": found[0]})

    async def write(request: Request) -> Response:
        body = await read_json(request, limits, _WRITE)
        model = models.for_task("write", body.text("model"))
        deadline, pieces = Deadline.of(request), _written(model, body, limits)

        async def following() -> list[str]:
            return await _next_pieces(model, pieces, deadline.of_piece(limits))

        # What is wrong with the request is said before the answer begins.
        first = await following()
        if not body.flag("stream", True):
            text = "".join(first)
            while first:
                first = await following()
                text += "".join(first)
            return JSONResponse({"model": model.name, "text": text})
        return StreamingResponse(
            _events(first, following),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store"},
        )

    offered = {
        "classify": Endpoint("POST", "/classify", classify, _CLASSIFY_SAID, _CLASSIFY),
        "estimate": Endpoint("POST", "/estimate", estimate, _ESTIMATE_SAID, _ESTIMATE),
        "recognise": Endpoint(
            "POST", "/recognise", recognise, "What is heard; the body may also be one WAV file.", _RECOGNISE
        ),
        "translate": Endpoint("POST", "/translate", translate, "Translations.", _TRANSLATE, ("texts",)),
        "forecast": Endpoint("POST", "/forecast", forecast, "What comes after a series.", _FORECAST),
        "write": Endpoint("POST", "/write", write, "Text, piece by piece.", _WRITE),
    }
    return [one for task, one in offered.items() if any(task in model.tasks for model in models)]


# Labels ---------------------------------------------------------------------------------------------------


def _classification(
    model: ServedModel, body: Body, limits: Limits
) -> tuple[Any, Callable[[list[Any]], list[Any]], list[Any]]:
    """Return the key of the batch, what computes it, and the items of a request."""
    system = model.model
    match system:
        case kinds.TextClassifier():
            _only(body, model, "texts", "aspects", "columns")
            items = _texts_and_more(body, system, limits)

            def label(items: list[Any]) -> list[Any]:
                return [_labelled(one) for one in system.predict(**_asked(items))]

            return ("texts", "aspects" in body), label, items
        case kinds.DNAClassifier():
            _only(body, model, "texts")
            return (
                "texts",
                lambda items: [_labelled(one) for one in system.predict(items)],
                body.texts("texts"),
            )
        case kinds.Tagger():
            _only(body, model, "texts")
            return (
                "texts",
                lambda items: [one.to_dict() for one in system.predict(items)],
                body.texts("texts"),
            )
        case kinds.SoundClassifier():
            _only(body, model, "recordings", "rate")
            return "recordings", _listening(model), _recordings(model, body, limits)
    _only(body, model, "sequences")
    sequences = _sequences(body, limits)
    if isinstance(system, kinds.ClipClassifier):
        sequences = [_pixels(f"sequences[{place}]", one) for place, one in enumerate(sequences)]
    shapes = tuple(one.shape[1:] for one in sequences)
    return (
        ("sequences", shapes[0]),
        lambda items: [_labelled(one) for one in system.predict(items)],
        sequences,
    )


def _estimation(
    model: ServedModel, body: Body, limits: Limits
) -> tuple[Any, Callable[[list[Any]], list[Any]], list[Any]]:
    """Return the same for a model that estimates numbers."""
    system = model.model
    if isinstance(system, kinds.SeriesRegressor):
        _only(body, model, "sequences")
        sequences = _sequences(body, limits)
        return (
            ("sequences", sequences[0].shape[1:]),
            lambda items: [{"number": one} for one in system.predict(items).tolist()],
            sequences,
        )
    if isinstance(system, kinds.DNARegressor):
        _only(body, model, "texts")
        return (
            "texts",
            lambda items: [{"number": one} for one in system.predict(items).tolist()],
            body.texts("texts"),
        )
    _only(body, model, "texts", "aspects", "columns")
    items = _texts_and_more(body, system, limits)

    def estimate(items: list[Any]) -> list[Any]:
        return [{"number": one} for one in system.predict(**_asked(items)).tolist()]

    return ("texts", "aspects" in body), estimate, items


def _sequences(body: Body, limits: Limits) -> list[Any]:
    """Return the sequences of a request as arrays."""
    sequences = [array(f"sequences[{place}]", one) for place, one in enumerate(body.items("sequences"))]
    if any(not one.ndim or not one.size for one in sequences):
        raise RefusedError(400, "sequences: expected at least one step in each")
    if any(len(one) > limits.steps for one in sequences):
        raise RefusedError(413, f"sequences: expected at most {limits.steps} steps in each")
    return sequences


_Text = tuple[str, str | None, dict[str, Any] | None]
"""With its aspect and the cells of other columns, for models that read them."""


def _texts_and_more(
    body: Body, model: "kinds.TextClassifier | kinds.TextRegressor", limits: Limits
) -> list[_Text]:
    """Return the texts of a request, each with its aspect and its other columns, or None."""
    texts = body.texts("texts")
    aspects = body.texts("aspects") if "aspects" in body else [None] * len(texts)
    if len(aspects) != len(texts):
        raise RefusedError(400, f"aspects: expected {len(texts)}, one for each text, got {len(aspects)}")
    columns = _table(body.fields["columns"], limits, "columns") if "columns" in body else None
    # Here, so that a wrong cell is the matter of this request alone.
    kinds.beside_texts(model.other_columns, columns, len(texts))
    cells: list[dict[str, Any] | None] = [None] * len(texts)
    if columns is not None:
        cells = [{name: column[place] for name, column in columns.items()} for place in range(len(texts))]
    return list(zip(texts, aspects, cells, strict=True))


def _asked(items: list[_Text]) -> dict[str, Any]:
    """Return the arguments of `predict` for the texts of requests to one model."""
    texts, aspects, cells = zip(*items, strict=True)
    first = cells[0]
    return {
        "texts": list(texts),
        "aspects": None if aspects[0] is None else list(aspects),
        "columns": None if first is None else {name: [one[name] for one in cells] for name in first},
    }


def _pixels(name: str, clip: Any) -> Any:
    """Return the frames of a clip as bytes."""
    if (clip != np.floor(clip)).any() or clip.min() < 0 or clip.max() > 255:
        raise RefusedError(400, f"{name}: expected whole numbers from 0 to 255")
    return clip.astype(np.uint8)


def _only(body: Body, model: ServedModel, *names: str) -> None:
    """Refuse what another kind of model reads."""
    if names[0] not in body:
        raise RefusedError(400, f"{names[0]}: a {model.kind} reads this field")
    others = [name for name in body.fields if name != "model" and name not in names]
    if others:
        raise RefusedError(400, f"{others[0]}: a {model.kind} does not read this field")


def _size(items: list[Any]) -> int:
    """Return how many characters, numbers or samples there are to read."""
    parts = (part for item in items for part in (item if isinstance(item, tuple) else (item,)))
    return sum(len(part) if isinstance(part, str) else np.size(part) for part in parts)


def _labelled(one: Any) -> dict[str, Any]:
    label = one.label if isinstance(one.label, str) else list(one.label)
    probabilities = one.probabilities
    return {
        "label": label,
        "probability": one.probability,
        "probabilities": probabilities if isinstance(probabilities, dict) else list(probabilities),
    }


# Sound ----------------------------------------------------------------------------------------------------


def _recordings(model: ServedModel, body: Body, limits: Limits) -> list[Any]:
    """Return the recordings of a request, each with its rate."""
    rate = body.whole("rate", int(model.model.rate), 1000, 192_000)
    found = []
    for place, one in enumerate(body.items("recordings")):
        samples = array(f"recordings[{place}]", one)
        if samples.ndim != 1 or not len(samples):
            raise RefusedError(400, f"recordings[{place}]: expected a list of samples")
        if len(samples) > limits.steps:
            raise RefusedError(413, f"recordings[{place}]: expected at most {limits.steps} samples")
        found.append((samples, rate))
    return found


def _is_wav(request: Request) -> bool:
    """Return whether the body of a request is declared as a WAV file."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    return kind in ("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave")


async def _recording(request: Request, model: ServedModel, limits: Limits) -> tuple[Any, int]:
    """Return the recording in the body of a request."""
    if not isinstance(model.model, kinds.SoundClassifier | kinds.SpeechRecognizer):
        raise RefusedError(400, f"body: a {model.kind} does not read sound")
    return _wav(await read_bytes(request, limits), limits)


def _wav(data: bytes, limits: Limits) -> tuple[Any, int]:
    """Return the samples of a WAV file in a body, and their rate."""
    file = BytesIO(data)
    try:
        form = read_header(file, "body")
    except FileFormatError as problem:
        raise RefusedError(400, str(problem)) from None
    rest = file.read()
    rest = rest[: len(rest) - len(rest) % form.frame_bytes]
    samples = np.asarray(form.mono(rest), np.float32)
    if not len(samples):
        raise RefusedError(400, "body: expected at least one sample")
    finite("body", samples)
    if len(samples) > limits.steps or not 1000 <= form.rate <= 192_000:
        raise RefusedError(413, f"body: expected at most {limits.steps} samples, at 1000 to 192000 a second")
    return samples, form.rate


def _listening(model: ServedModel) -> Callable[[list[Any]], list[Any]]:
    system = model.model

    def listen(items: list[Any]) -> list[Any]:
        found = []
        for samples, rate in items:
            if isinstance(system, kinds.SoundClassifier):
                found += [_labelled(one) for one in system.predict([samples], rate=rate)]
            else:
                heard = system.transcribe([samples], rate=rate)
                found += [{"text": one.text, "probability": one.probability} for one in heard]
        return found

    return listen


# Forecasts ------------------------------------------------------------------------------------------------


def _table(value: Any, limits: Limits, what: str = "table") -> dict[str, list[Any]]:
    """Return columns of numbers and texts; a table is never the name of a file."""
    if not isinstance(value, dict) or not value or len(value) > limits.items:
        raise RefusedError(400, f"{what}: expected an object with 1 to {limits.items} columns")
    lengths = {len(column) if isinstance(column, list) else -1 for column in value.values()}
    if len(lengths) != 1 or lengths <= {-1, 0}:
        raise RefusedError(400, f"{what}: expected columns that are lists of one length")
    if max(lengths) > limits.steps:
        raise RefusedError(413, f"{what}: expected at most {limits.steps} rows")
    for column in value.values():
        if not all(one is None or type(one) in (str, int, float) for one in column):
            raise RefusedError(400, f"{what}: expected numbers, texts and null")
        if any(type(one) is float and not math.isfinite(one) for one in column):
            raise RefusedError(422, f"{what}: expected finite numbers; null stands for one that is missing")
    texts = [*value, *(one for column in value.values() for one in column if isinstance(one, str))]
    if not all(map(is_unicode, texts)):
        raise RefusedError(400, f"{what}: expected characters of Unicode, got half of one")
    return value


def _forecast(one: Any) -> dict[str, Any]:
    low80, high80 = one.interval(0.8)
    low95, high95 = one.interval(0.95)
    columns = {"median": one.median, "mean": one.mean, "low80": low80, "high80": high80}
    columns |= {"low95": low95, "high95": high95}
    if not all(np.isfinite(column).all() for column in columns.values()):
        raise RefusedError(422, "table: the forecast is not finite")
    return {
        "series": one.name,
        "times": [time if isinstance(time, int) else time.isoformat() for time in one.times],
        **{name: column.tolist() for name, column in columns.items()},
    }


# Text -----------------------------------------------------------------------------------------------------


def _written(model: ServedModel, body: Body, limits: Limits) -> Callable[[], Iterator[str]]:
    """Return what gives the iterator of the pieces; it is made in the model's thread, once."""
    start, length = body.text("start"), body.whole("length", 200, 1, limits.steps)
    settings: dict[str, Any] = {
        "temperature": body.number("temperature", 0.8, 0, 100),
        "top_k": body.whole("top_k", 0, 1, 10**9) or None,
        "top_p": body.number("top_p", 1.0, 0, 1),
        "repetition_penalty": body.number("repetition_penalty", 1.0, 0, 1000),
        "seed": body.whole("seed", 0, 0, 2**63 - 1),
    }
    made: list[Iterator[str]] = []

    def pieces() -> Iterator[str]:
        if not made:
            made.append(model.model.write(start, length, **settings))
        return made[0]

    return pieces


async def _next_pieces(
    model: ServedModel, pieces: Callable[[], Iterator[str]], deadline: Deadline
) -> list[str]:
    """Return the next pieces of a text; others are served between them. None are left if it is empty."""
    found = await model.worker.answer(
        object(), lambda _: [list(islice(pieces(), _PIECES_AT_ONCE))], [None], deadline
    )
    written: list[str] = found[0]
    return written


async def _events(first: list[str], following: Callable[[], Awaitable[list[str]]]) -> AsyncIterator[str]:
    try:
        while first:
            for piece in first:
                yield f"data: {json.dumps({'text': piece}, ensure_ascii=False)}\n\n"
            first = await following()
    except (RefusedError, ArgumentError) as problem:
        # The answer has begun, so the reason comes as an event.
        yield f"event: error\ndata: {json.dumps({'error': str(problem)})}\n\n"
        return
    yield "event: end\ndata: {}\n\n"
