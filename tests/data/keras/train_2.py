# /// script
# requires-python = "==3.11.*"
# dependencies = ["tensorflow-cpu==2.15.1", "keras==2.15.0", "numpy<2"]
# ///
"""Models of Keras 2, and what it predicts for the rows in `predictions-2.json`."""

import json
from pathlib import Path

import keras
import numpy as np
from keras import layers

HERE = Path(__file__).parent
keras.utils.set_random_seed(0)


def sequential():
    model = keras.Sequential([
        layers.Dense(6, activation="relu", input_shape=(4,), kernel_regularizer="l2"),
        layers.BatchNormalization(), layers.Dropout(0.1), layers.LeakyReLU(alpha=0.2),
        layers.Dense(3, activation="softmax"),
    ])  # fmt: skip
    model.compile("adam", "categorical_crossentropy")
    return model


def functional():
    one, two = keras.Input((2,), name="a"), keras.Input((1,), name="b")
    hidden = layers.Dense(3, activation="tanh")(layers.concatenate([one, two]))
    return keras.Model([one, two], layers.Dense(1)(layers.Add()([hidden, hidden])))


def recurrent():
    return keras.Sequential([
        layers.Embedding(20, 4, input_length=5), layers.LSTM(3, return_sequences=True),
        layers.Bidirectional(layers.GRU(2)), layers.Dense(1, activation="sigmoid"),
    ])  # fmt: skip


def with_lambda():
    return keras.Sequential([layers.Dense(2, input_shape=(3,)), layers.Lambda(lambda x: x * 2)])


def main():
    random, predictions = np.random.default_rng(0), {}
    for make, width in ((sequential, 4), (functional, 3), (recurrent, 5), (with_lambda, 3)):
        model = make()
        rows = random.normal(size=(5, width)).astype("float32")
        if make is recurrent:
            rows = random.integers(0, 20, (5, width)).astype("float32")
        inputs = [rows[:, :2], rows[:, 2:]] if make is functional else rows
        result = model.predict(inputs, verbose=0)
        name = make.__name__.replace("_", "-")
        model.save(HERE / f"{name}-2.h5")
        predictions[f"{name}-2.h5"] = [rows.tolist(), result.tolist()]
    sequential().save(HERE / "sequential-2.keras")
    sequential().save_weights(HERE / "only-2.h5")
    (HERE / "predictions-2.json").write_text(json.dumps(predictions) + "\n")


if __name__ == "__main__":
    main()
