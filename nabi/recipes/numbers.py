"""The number series: four numbers in, the next one out (many to one).

The lecture's model: SimpleRNN(10) and Dense(1), 131 parameters, mean squared error, Adam, 100 epochs. With
the default learning rate of 0.001 and all six windows in one batch, two of the seeds 0 to 9 get as close as
the lecture's run. With batches of three and a learning rate of 0.03, all ten do in the same 100 epochs.
Training then continues to show how much closer it gets.
"""

import numpy as np
from rich.table import Table

from nabi.data import number_series
from nabi.layers import Dense, SimpleRNN
from nabi.models import Sequential
from nabi.optimizers import Adam
from nabi.recipes._results._pictures import numbers_picture
from nabi.recipes._run._run import Run
from nabi.utils import set_random_seed

__all__ = ["main"]

LECTURE_EPOCHS = 100


def main(run: Run) -> None:
    """Train on six windows of 0.0 to 0.9, then predict them and two unseen windows."""
    # The data: 0.0 0.1 0.2 0.3 -> 0.4, and so on to 0.5 0.6 0.7 0.8 -> 0.9. Shapes [6, 4, 1] and [6].
    series = number_series()
    every_input = np.concatenate([series.inputs, series.unseen_inputs])
    every_target = np.concatenate([series.targets, series.unseen_targets])
    seen = len(series.inputs)

    # The model: the last of four hidden states yields one number.
    set_random_seed(run.seed)
    model = Sequential(
        [
            SimpleRNN(units=10, return_sequences=False, input_shape=[4, 1]),
            Dense(1),
        ]
    )
    model.compile(optimizer=Adam(learning_rate=0.03), loss="mse")
    run.figures["parameters"] = model.count_params()

    # The training, with predictions at the lecture's 100 epochs.
    predictions = {}
    with run.training("SimpleRNN", run.epochs, steps=2) as bar:
        for epochs in sorted({min(LECTURE_EPOCHS, run.epochs), run.epochs}):
            model.fit(
                series.inputs,
                series.targets,
                initial_epoch=bar.epochs,
                epochs=epochs,
                batch_size=3,
                verbose=0,
                callbacks=[bar],
            )
            predictions[epochs] = model.predict(every_input, verbose=0)[:, 0]
    if run.interrupted:
        predictions[bar.epochs] = model.predict(every_input, verbose=0)[:, 0]

    # The results: the next number of every window, for the six training windows and the two unseen ones.
    table = Table("window", "next", *(f"after {epochs} epochs" for epochs in predictions))
    for row, (window, target) in enumerate(zip(every_input[:, :, 0], every_target, strict=True)):
        numbers = " ".join(f"{number:.1f}" for number in window)
        predicted = (f"{prediction[row]:.3f}" for prediction in predictions.values())
        table.add_row(numbers, f"{target:.1f}", *predicted, style=None if row < seen else "bold")
    table.caption = "bold: unseen windows"
    run.console.print(table)

    for epochs, prediction in predictions.items():
        errors = np.abs(prediction - every_target)
        run.figures[f"epoch_{epochs}.predictions"] = [round(float(number), 4) for number in prediction[:seen]]
        run.figures[f"epoch_{epochs}.unseen"] = [round(float(number), 4) for number in prediction[seen:]]
        run.figures[f"epoch_{epochs}.largest_error"] = round(float(errors[:seen].max()), 4)
        run.figures[f"epoch_{epochs}.largest_error_unseen"] = round(float(errors[seen:].max()), 4)
    model.save(run.folder / "model.nabi")
    run.folder.write_picture("numbers.png", numbers_picture(every_target, predictions, seen))
