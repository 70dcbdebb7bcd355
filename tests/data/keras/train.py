# /// script
# requires-python = ">=3.11"
# dependencies = ["keras==3.15.1", "torch", "h5py", "numpy"]
# ///
"""Models of Keras 3 and HDF5 files of h5py, for the tests of their readers.

The files of Keras 2 (`*-2.h5`) were saved by `train_2.py`.
"""

import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"

import h5py
import keras
import numpy as np
from keras import layers, ops

HERE = Path(__file__).parent
keras.utils.set_random_seed(0)
random = np.random.default_rng(0)
rows = random.normal(size=(64, 4)).astype("float32")


@keras.saving.register_keras_serializable(package="mine")
class Own(layers.Layer):
    def call(self, inputs):
        return inputs + 1.0


def sequential():
    model = keras.Sequential([
        layers.Input((4,)),
        layers.Normalization(mean=[0.5, 1.0, 2.0, 3.0], variance=[1.0, 2.0, 3.0, 4.0]),
        layers.Dense(8, activation="relu", kernel_regularizer=keras.regularizers.L2(0.01)),
        layers.BatchNormalization(),
        layers.Dropout(0.2),
        layers.Dense(3, activation="softmax"),
    ])  # fmt: skip
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(rows, np.arange(64) % 3, epochs=1, verbose=0)
    return model


def columns():
    inputs = {"age": layers.Input((1,), name="age"), "income": layers.Input((), name="income"),
              "code": layers.Input((1,), dtype="int32", name="code")}  # fmt: skip
    codes = layers.Flatten()(layers.Embedding(5, 2)(inputs["code"]))
    income = layers.Reshape((1,))(inputs["income"])
    joined = layers.Concatenate()([inputs["age"], income, codes])
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(joined))


def listed():
    one, two = layers.Input((2,), name="one"), layers.Input((1,), name="two")
    return keras.Model([one, two], [layers.Dense(2)(layers.Concatenate()([one, two]))])


def texts_as_numbers():
    cell = layers.Bidirectional(layers.LSTM(3, return_sequences=True))
    return keras.Sequential([
        layers.Input((5,), dtype="int32"), layers.Embedding(20, 4, mask_zero=True), cell,
        layers.TimeDistributed(layers.Dense(2)), layers.GlobalAveragePooling1D(), layers.Dense(1),
    ])  # fmt: skip


def operations():
    start = layers.Input((3,), name="start")
    shared = layers.Dense(3, activation=keras.activations.tanh)
    inner = keras.Sequential([layers.Input((3,)), layers.Dense(2, activation="gelu")])
    inner.compile("sgd", keras.losses.Huber())
    value = ops.sin(shared(start)) * 2.0 + shared(start)
    return keras.Model(start, ops.concatenate([inner(value), value[:, :1]], axis=-1))


def image():
    return keras.Sequential([
        layers.Input((8, 8, 1)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(1)
    ])  # fmt: skip


def two_outputs():
    start = layers.Input((2,))
    return keras.Model(start, [layers.Dense(1)(start), layers.Dense(2)(start)])


def with_lambda():
    return keras.Sequential([layers.Input((3,)), layers.Lambda(lambda x: x * 2)])


def with_lambda_inside():
    return keras.Sequential([
        layers.Input((3, 2)), layers.TimeDistributed(layers.Lambda(lambda x: x * 2)),
        layers.Flatten(),
    ])  # fmt: skip


def own_class():
    return keras.Sequential([layers.Input((3,)), Own()])


def batch_of_two():
    return keras.Sequential([layers.Input((3,), batch_size=2), layers.Dense(1)])


MODELS = (sequential, columns, listed, texts_as_numbers, operations, image, two_outputs,
          with_lambda, with_lambda_inside, own_class, batch_of_two)  # fmt: skip


def main():
    for make in MODELS:
        model = make()
        model.save(HERE / f"{make.__name__}.keras")
        if make in (sequential, columns, texts_as_numbers, with_lambda):
            model.save(HERE / f"{make.__name__}.h5")
    sequential().save_weights(HERE / "only.weights.h5")
    hostile()


def hostile():
    """HDF5 files that lead out of themselves, or that Keras would not write."""

    def file(name, **options):
        return h5py.File(HERE / f"hostile-{name}.h5", "w", **options)

    with file("external-link") as made:
        made["layers"] = h5py.ExternalLink("/etc/hostname", "/")
    with file("soft-link") as made:
        made["layers"] = h5py.SoftLink("/other")
    with file("external-storage") as made:
        made.create_dataset("a", (8,), "u1", external=[("/etc/hostname", 0, 8)])
    with file("virtual", libver="latest") as made:
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource("other.h5", "a", (4,))
        made.create_virtual_dataset("a", layout)
    with file("virtual-early") as made:
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource("other.h5", "a", (4,))
        made.create_virtual_dataset("a", layout)
    with file("chunks") as made:
        made.create_dataset("a", data=np.zeros(100, "f4"), chunks=(10,), compression="gzip")
    with file("fill-value") as made:  # 4 TB that the file does not have
        made.create_dataset("a", (10**12,), "f4", chunks=(10**6,), fillvalue=1.0)
    with file("latest", libver="latest") as made:
        made.create_dataset("a", data=np.zeros(3, "f4"))
    with file("hard-link") as made:
        made.create_group("a")
        made["a/b"] = made["/"]
    with file("texts") as made:
        made["a"] = ["text", "more"]
    with file("references") as made:
        made.create_dataset("a", data=made["/"].ref, dtype=h5py.ref_dtype)


if __name__ == "__main__":
    main()
