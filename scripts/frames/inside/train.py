"""Trains the models, saves each as its author would, and writes its rows and answers.

    python train.py FOLDER PACKAGER [NAME...]

Runs on the interpreter and the libraries of a set. PACKAGER is the folder of modelpack, for
`modelpack.record`, which needs Python 3.10. FOLDER/NAME contains the model's files, the bodies of
requests, and case.json, which describes them; FOLDER/NAME/record the files once more, with
the record next to them.
"""

import json
import shutil
import sys
import traceback
import warnings
from pathlib import Path

import joblib

INSIDE = Path(__file__).parent
sys.path.append(str(INSIDE / "own"))

import models  # noqa: E402, F401 - it registers them
import ways  # noqa: E402
from registry import MODELS  # noqa: E402

HAS_RECORD = sys.version_info >= (3, 10)


def train(entry, folder):
    """Write all that belongs to a model into `folder`."""
    folder.mkdir(parents=True)
    trained = entry.train()
    names = (trained.save or _saved(trained.model))(folder)
    if trained.save is None:
        trained.reload(joblib.load(str(folder / names[0])))
    document = {
        "text": entry.text,
        "may_be_refused": entry.may_be_refused,
        "files": names,
        "options": list(trained.options),
        "ways": ways.write(trained, folder),
        "record": None,
        "example": _example(trained.rows, folder),
    }
    if HAS_RECORD and trained.members is not None:
        document["record"] = _recorded(trained, folder, names)
    (folder / "case.json").write_text(json.dumps(document, indent=1), encoding="utf-8")


def _saved(model):
    def save(folder):
        joblib.dump(model, str(folder / "model.joblib"))
        return ["model.joblib"]

    return save


def _example(rows, folder):
    """Return the name of a file of rows as users keep them: a CSV, as it needs nothing else."""
    try:
        rows.iloc[:20].to_csv(str(folder / "example.csv"), index=False)
    except Exception:
        return None
    return "example.csv"


def _recorded(trained, folder, names):
    """Call `modelpack.record`; return its directory, or the message of its exception."""
    import modelpack

    copies = folder / "record"
    copies.mkdir()
    for name in names:
        shutil.copy(str(folder / name), str(copies / name))
    paths = [str(copies / name) for name in names]
    try:
        modelpack.record(trained.members, trained.rows, paths if len(paths) > 1 else paths[0])
    except Exception as error:
        return {"error": "{}: {}".format(type(error).__name__, error)}
    return {"folder": "record"}


def main(folder, packager, names):
    if HAS_RECORD:
        sys.path.append(packager)
    failed = []
    for name, entry in MODELS.items():
        if (names and name not in names) or not entry.is_for_this_set():
            continue
        try:
            train(entry, folder / name)
        except Exception:
            traceback.print_exc()
            failed.append(name)
    return "not trained: {}".format(", ".join(failed)) if failed else None


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
