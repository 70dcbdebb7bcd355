"""Runs in the environment of a release: saves whatever its libraries make.

    python run.py FOLDER

FOLDER gets the files, `failed.json` (name -> why it was not saved) and `estimators.json`.
"""

import json
import sys
from pathlib import Path

import composites
import estimators
import libraries
import saving
import tasks
import values


def makers():
    import sklearn
    from sklearn.base import BaseEstimator

    estimators.experimental()
    found = estimators.makers(sklearn, BaseEstimator)
    found.update(composites.makers())
    found.update(values.makers())
    found.update(libraries.makers())
    return found


def main():
    folder = Path(sys.argv[1])
    failed = saving.save_all(makers(), folder)
    for name, table in (("failed", failed), ("estimators", tasks.table())):
        text = json.dumps(table, indent=1, sort_keys=True)
        (folder / (name + ".json")).write_text(text)


if __name__ == "__main__":
    main()
