"""Train the model of a library, and save it in every way that its environment has.

    python train.py FOLDER LIBRARY

FOLDER gets the files, named "WAY.SUFFIX", and case.json: {"version", "instances", "predictions",
"files": [name], "unsaved": {name: why}}.
The predictions are those of the first rows.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np

import models
import saving

SENT = 5
NATIVE_ONLY = {"skl2onnx"}
"""Libraries that convert models of scikit-learn; these are saved in the formats of another row."""


def plain(values):
    return np.asarray(values).tolist()


def main(folder, library):
    trained = getattr(models, library.replace("-", "_"))()
    inputs = trained.inputs[:SENT]
    named = hasattr(inputs, "to_dict")
    document = {
        "version": getattr(trained.module, "__version__", "") or installed_version(library),
        "instances": inputs.to_dict("records") if named else plain(inputs),
        "predictions": plain(trained.model.predict(inputs)),
        "files": [],
        "unsaved": {},
    }
    ways = dict(trained.native)
    if library not in NATIVE_ONLY:
        for name, save in saving.general_ways().items():
            ways[name] = lambda path, save=save: save(trained.model, path)
    for name, save in ways.items():
        try:
            save(str(folder / name))
        except Exception as error:
            document["unsaved"][name] = f"{type(error).__name__}: {error}"[:200]
            if (folder / name).exists():
                (folder / name).unlink()
        else:
            document["files"].append(name)
    (folder / "case.json").write_text(json.dumps(document, indent=1) + "\n")


def installed_version(library):
    """Return the version of a distribution whose module names none, on any Python."""
    prefix = library.replace("-", "_")
    site = Path(np.__file__).parents[1]
    return next(site.glob(prefix + "-*.dist-info")).stem[len(prefix) + 1 :]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]), sys.argv[2])
