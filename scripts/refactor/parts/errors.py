"""Exit codes and messages of wrong command lines, files and targets."""

from __future__ import annotations

import gzip
import io
import pickle
import shlex
import shutil
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from checkout import Checkout

from .settings import Settings

# Nothing listens on port 9: registries are unreachable, without a name that others may serve.
_LINES = """
.

frobnicate
--no-such-option

inspect
inspect --no-such-option
inspect missing.joblib
inspect folder
inspect empty.pkl
inspect text.txt
inspect cut.joblib
inspect evil.pkl
inspect evil.pkl --json
inspect unknown.pkl
inspect unknown.pkl --trust shop.models
inspect unknown.pkl --code missing
inspect settings/model.joblib
inspect broken-settings/model.joblib
inspect iris.joblib --select nothing
inspect iris.joblib iris.joblib

bundle iris.joblib
bundle iris.joblib -o folder
bundle iris.joblib -o text.txt
bundle iris.joblib -o missing/below/it
bundle dict.pkl -o out-1
bundle unknown.pkl -o out-2 --code folder

lock missing.joblib
lock iris.joblib -o folder
lock iris.joblib --python 2.7
lock iris.joblib --python x
lock iris.joblib --requirement ???
lock iris.joblib --requirement scikit-learn==0.1
lock iris.joblib --requirement scikit-learn==1.0.2
lock iris.joblib --requirements-file missing.txt
lock iris.joblib --offline missing
lock iris.joblib --offline wheelhouse
lock iris.joblib --ca-cert missing.pem
lock iris.joblib --ca-cert text.txt
lock iris.joblib --index-url not-a-url
lock iris.joblib --index-url http://127.0.0.1:9/simple

package
package missing.joblib
package folder
package bundle
package empty.pkl
package text.txt
package cut.joblib
package evil.pkl
package evil.pkl --trust os.system
package evil.pkl --trust os:system
package unknown.pkl
package dict.pkl
package zeros.pkl.gz
package bad.onnx
package bad.cbm
package bad.json
package bad.skops
package archive.tar
package iris.joblib --engine vm
package iris.joblib --tolerance 2
package iris.joblib -t UPPER:1
package iris.joblib -t a:b:c
package iris.joblib -t ''
package iris.joblib --platform windows/amd64
package iris.joblib --platform linux/arm64 --engine process
package iris.joblib --platform linux/amd64,linux/arm64 --engine docker
package iris.joblib --example missing.csv
package iris.joblib --example wrong.csv --engine process
package iris.joblib --example empty.csv --engine process
package iris.joblib --expected rows.csv --engine process
package iris.joblib --example rows.csv --expected answers.csv --engine process
package iris.joblib --report missing/below/it --engine process
package iris.joblib --base-image UPPER
package iris.joblib --base-image docker-archive:missing.tar --engine oci
package iris.joblib --base-image docker-archive:archive.tar --engine oci
package iris.joblib --base-image oci:folder --engine oci
package iris.joblib --base-image 127.0.0.1:9/python:3.13-slim --engine docker
package iris.joblib --base-image 127.0.0.1:9/python:3.13-slim --engine oci
package iris.joblib -t iris:1 --engine process

build missing
build folder
build iris.joblib
build broken-bundle
build no-lock
build bundle --engine process
build bundle --engine process -t iris:1
build bundle -t UPPER

smoke missing
smoke folder
smoke iris.joblib
smoke broken-bundle
smoke no-lock --engine process
smoke 127.0.0.1:9/none:1 --engine docker
smoke 127.0.0.1:9/none:1 --engine oci
smoke 127.0.0.1:9/none:1 --engine process
smoke oci:layout
smoke bundle --expected rows.csv --engine process
smoke bundle --example wrong.csv --engine process

predict
predict missing rows.csv
predict folder rows.csv
predict broken-bundle rows.csv
predict evil.pkl rows.csv
predict 127.0.0.1:9/none:1 rows.csv --engine docker
predict bundle missing.csv
predict bundle wrong.csv
predict bundle words.csv
predict bundle empty.csv
predict bundle folder
predict bundle rows.csv --output-format pdf
predict bundle rows.csv --input-format npy
predict bundle rows.csv --keep nothing
predict bundle rows.csv -o folder
predict bundle rows.csv -o missing/below/it.csv
predict bundle rows.csv --chunk-rows 0

scan missing:1
scan UPPER
scan folder
scan bundle
scan iris.joblib
scan archive.tar
scan docker-archive:missing.tar
scan docker-archive:archive.tar
scan oci-archive:archive.tar
scan oci:folder
scan oci:layout
scan missing:1 --engine oci
scan missing:1 --engine podman
scan missing:1 --engine process

verify UPPER
verify folder
verify bundle
verify iris.joblib
verify 127.0.0.1:9/none:1
verify 127.0.0.1:9/none:1 --engine oci
verify oci:folder --no-smoke
verify oci:layout --no-smoke
verify docker-archive:archive.tar --no-smoke
verify docker-archive:missing.tar --no-smoke
verify 127.0.0.1:9/none:1 --key missing.pub
verify 127.0.0.1:9/none:1 --key text.txt
verify 127.0.0.1:9/none:1 --platform linux/none

push 127.0.0.1:9/none:1
push 127.0.0.1:9/none:1 --engine oci
push 127.0.0.1:9/none:1 --engine podman
push 127.0.0.1:9/none:1 --engine process
push UPPER
push 127.0.0.1:9/none:1 --as UPPER
push 127.0.0.1:9/none:1 --key missing.key
push 127.0.0.1:9/none:1 --key text.txt
push bundle
push oci:layout

diff iris.joblib
diff iris.joblib missing.joblib
diff iris.joblib evil.pkl
diff iris.joblib unknown.pkl
diff iris.joblib text.joblib
diff bundle folder
diff bundle broken-bundle
diff bundle oci:layout
diff bundle archive.tar
diff bundle UPPER
diff bundle 127.0.0.1:9/none:1
diff bundle bundle --tolerance -1
diff bundle bundle --example wrong.csv
diff bundle bundle --markdown missing/below/it
diff bundle bundle --fail-on everything

export none:1
export none:1 out.tar
export UPPER out.tar
export none:1 folder

serve
serve missing.joblib
serve folder
serve broken-bundle
serve no-lock
serve evil.pkl
serve bundle --port 0
serve bundle --port 70000
serve bundle bundle

base
base build
base build --python 2.7
base build --python x
doctor extra
doctor --no-such-option
"""


def record(checkout: Checkout, _: Settings, output: Path) -> None:
    """Run each line in a copy of the files, so that no command meets what another has written."""
    folder = checkout.work / "errors"
    _make_files(checkout, folder)

    def report(number: int, line: str) -> str:
        cwd = checkout.work / f"errors-{number}"
        shutil.copytree(folder, cwd)
        text = checkout.report(*shlex.split(line), cwd=cwd)
        shutil.rmtree(cwd)
        return text

    lines = ["" if line == "." else line for line in _LINES.splitlines() if line]
    texts: dict[str, str] = {}
    with ThreadPoolExecutor(2) as pool:
        for line, text in zip(lines, pool.map(report, range(len(lines)), lines), strict=True):
            command = line.partition(" ")[0].lstrip("-") or "none"
            texts[command] = f"{texts.get(command, '')}{text}\n"
    for command, text in texts.items():
        (output / f"{command}.txt").write_text(text)


def _make_files(checkout: Checkout, folder: Path) -> None:
    """Make a bundle, files that are no models, and targets that are broken."""
    samples = checkout.work / "sample_models"
    folder.mkdir()
    shutil.copy(samples / "iris" / "model.joblib", folder / "iris.joblib")
    shutil.copy(samples / "text-classifier" / "model.joblib", folder / "text.joblib")
    _make_models(folder)
    _make_targets(checkout, folder)
    _make_rows(folder)


def _make_models(folder: Path) -> None:
    iris = (folder / "iris.joblib").read_bytes()
    skops = io.BytesIO()
    with zipfile.ZipFile(skops, "w") as archive:
        archive.writestr(zipfile.ZipInfo("schema.json"), '{"__class__": "Pipeline"}')
    for name, content in {
        "empty.pkl": b"",
        "text.txt": b"hello\n",
        "cut.joblib": iris[: len(iris) // 2],
        "evil.pkl": b"cos\nsystem\n(S'touch executed'\ntR.",
        "unknown.pkl": b"\x80\x02cshop.models\nModel\n)\x81.",
        "dict.pkl": pickle.dumps({"a": 1, "b": [2.5]}, protocol=4),
        "zeros.pkl.gz": gzip.compress(bytes(1 << 24), mtime=0),
        "bad.onnx": b"\x08\x09\x12\xff\xff\xff\xff\x0f",
        "bad.cbm": b"CBM1\xff\xff\xff\x7f",
        "bad.json": b'{"learner": {"gradient_booster": []}, "version": [3, 0, 0]}',
        "bad.skops": skops.getvalue(),
    }.items():
        (folder / name).write_bytes(content)
    for name, settings in {"settings": 'color = "red"\n', "broken-settings": "python = \n"}.items():
        (folder / name).mkdir()
        (folder / name / "model.joblib").write_bytes(iris)
        (folder / name / "modelpack.toml").write_text(settings)


def _make_targets(checkout: Checkout, folder: Path) -> None:
    checkout.require("bundle", "iris.joblib", "-o", "bundle", "--quiet", cwd=folder)
    for name in ("no-lock", "broken-bundle"):
        shutil.copytree(folder / "bundle", folder / name)
    (folder / "no-lock" / "requirements.lock").unlink()
    (folder / "broken-bundle" / "modelpack.json").write_text('{"model": []}')
    (folder / "folder").mkdir()
    (folder / "folder" / "notes.txt").write_text("nothing\n")
    (folder / "wheelhouse").mkdir()
    (folder / "layout").mkdir()
    (folder / "layout" / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "layout" / "index.json").write_text('{"schemaVersion": 2, "manifests": []}')
    with tarfile.open(folder / "archive.tar", "w") as archive:
        entry = tarfile.TarInfo("notes.txt")
        entry.size = 8
        archive.addfile(entry, io.BytesIO(b"nothing\n"))


def _make_rows(folder: Path) -> None:
    names = "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)"
    (folder / "rows.csv").write_text(f"{names}\n5.1,3.5,1.4,0.2\n7.0,3.2,4.7,1.4\n")
    (folder / "answers.csv").write_text("prediction\nvirginica\nvirginica\n")
    (folder / "wrong.csv").write_text("height,width\n5.1,3.5\n")
    (folder / "words.csv").write_text(f"{names}\n5.1,3.5,1.4,0.2\n7.0,many,4.7,1.4\n")
    (folder / "empty.csv").write_text("")
