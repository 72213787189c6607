"""Translation: one network reads an English sentence, another writes it in German or Korean (many to many).

At each step of the decoder, attention weighs the encoder's outputs. The choice `attention` selects the kind,
or none: the decoder then only receives the encoder's last states. The validation part is evaluated after
every epoch, the test part once.
"""

import random
from pathlib import Path
from typing import Any

from nabi.datasets import multi30k, tatoeba
from nabi.models import Translator
from nabi.recipes._results._translation_scores import score
from nabi.recipes._run._run import Run

__all__ = ["main"]

CELL = "gru"
SETTINGS: dict[str, dict[str, Any]] = {
    # 29,000 image descriptions.
    "en-de": {"vocabulary_size": 4_000, "dropout": 0.3, "learning_rate": 3e-3, "warmup": 200},
    # 3,000 short sentences.
    "en-ko": {"vocabulary_size": 1_500, "dropout": 0.4, "learning_rate": 3e-3, "warmup": 100},
}
BEAM, LENGTH_PENALTY = 5, 1.0
SHOWN, DRAWN = 10, 2  # sentences with translations shown, and with attention drawn
AT_ONCE = 250  # sentences per update of the progress bar

Part = tuple[list[str], list[str]]


def main(run: Run) -> None:
    """Train with early stopping on the validation part, then translate the test part."""
    pair, attention = run.choices["pair"], run.choices["attention"]
    training, validation, test = read(pair, run.data)

    # The model: a bidirectional encoder, a decoder, attention between them.
    translator = Translator(
        CELL,
        attention=None if attention == "none" else attention,
        epochs=run.epochs,
        seed=run.seed,
        **SETTINGS[pair],
    )

    # The training: running the same command again resumes an interrupted run.
    with run.batches("translate", run.epochs) as bar:
        report = translator.fit(
            *training,
            validation=validation,
            checkpoint=run.folder / "training.nabi",
            verbose=0,
            callbacks=bar,
        )
    if report.interrupted:
        run.interrupted = True
        run.console.print("Stopped; run the same command again to resume. These are the results so far.")
    translator.save(run.folder / "model.nabi")
    run.figures |= {
        "training_pairs": len(training[0]),
        "beam": BEAM,
        "length_penalty": LENGTH_PENALTY,
        "training_seconds": round(report.seconds, 1),
        "parameters": sum(weight.numel() for weight in translator.network.parameters()),
        "history": translator.history,
        "epoch_seconds": [round(seconds, 1) for seconds in bar.seconds],
    }
    run.console.print(str(report), highlight=False)

    # The results: the scores, and translations of unseen sentences.
    said = {}
    for name, part in (("validation", validation), ("test", test)):
        said[name] = translate(run, translator, part[0], name)
        if run.interrupted and len(said[name]) < len(part[0]):
            return
        scores = score(said[name], part[1])
        run.figures |= {f"{name}.{key}": value for key, value in scores.to_dict().items()}
        run.console.print(f"{name}, beam {BEAM}:\n{scores}", highlight=False)
    rows = list(zip(*test, said["test"], strict=True))
    run.folder.write_text("translations.tsv", "".join("\t".join(row) + "\n" for row in rows))
    shown = random.Random(run.seed).sample(rows, min(SHOWN, len(rows)))
    run.figures["examples"] = [
        {"source": source, "translation": translation, "reference": reference}
        for source, reference, translation in shown
    ]
    for source, reference, translation in shown:
        text = f"\n{source}\n  said:      {translation}\n  reference: {reference}"
        run.console.print(text, highlight=False, markup=False)
    if attention != "none":
        draw(run, translator, [row[0] for row in shown[:DRAWN]])


def read(pair: str, data: Path | None) -> tuple[Part, Part, Part]:
    """Return training, validation and test part of a language pair, always with the same split."""
    return multi30k.load_pairs(data) if pair == "en-de" else tatoeba.load_pairs(data)


def translate(run: Run, translator: Translator, sources: list[str], title: str) -> list[str]:
    """Translate sentences; after Ctrl-C, return those done so far."""
    said: list[str] = []
    with run.batches(f"translating, {title}") as bar:
        bar.set_params({"steps": -(-len(sources) // AT_ONCE)})
        bar.on_predict_begin()
        for number, start in enumerate(range(0, len(sources), AT_ONCE)):
            found = translator.translate(
                sources[start : start + AT_ONCE], beam=BEAM, length_penalty=LENGTH_PENALTY
            )
            said += [translation.text for translation in found]
            bar.on_predict_batch_end(number)
    return said


def draw(run: Run, translator: Translator, sources: list[str]) -> None:
    """Draw the attention of the model."""
    from nabi.explain import attention_picture

    for number, source in enumerate(sources, 1):
        attention_picture(translator.attention(source), run.folder / f"attention-{number}.png", title=source)
