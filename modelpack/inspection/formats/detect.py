"""Format detection by content."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """A format that is recognised.

    Attributes:
        name: The value of `ModelSpec.format`.
        description: Completes "the file is ...".
        reader: Key of `formats.READERS`. None if modelpack does not read the format.
    """

    name: str
    description: str
    reader: str | None = None


READ = (
    "scikit-learn models saved by pickle, joblib or skops, and models of LightGBM (text), XGBoost "
    "(JSON, UBJSON, binary), CatBoost (.cbm) and ONNX"
)
"""All formats that are read, for errors."""

SKOPS = Format("skops", "a skops file")

_LENGTH = r"[\x80-\xff]{0,4}[\0-\x7f]"  # a varint of Protocol Buffers
_OBJECTIVE = r"[\x01-\x40]\0{7}[a-z]+(:[a-z]+)?"
_BOOSTER = r"(\x06\0{7}gbtree|\x04\0{7}dart|\x08\0{7}gblinear)"

_MAGIC: tuple[tuple[str, Format], ...] = (
    # torch.save before 1.6 began with a pickle of this number alone.
    (r"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19\.", Format("torch", "a PyTorch model")),
    (r"\x89HDF\r\n\x1a\n", Format("hdf5", "an HDF5 file, as Keras writes models")),
    (r"CBM1", Format("catboost", "a CatBoost model (.cbm)", "catboost")),
    # onnxruntime checks for this before it reads a file as ONNX. A file can be valid as both.
    (r"....ORTM", Format("ort", "a model in the ORT format of onnxruntime; save it as ONNX")),
    # XGBoost before 1.3 wrote no "binf": 136 bytes of numbers, and two names.
    (rf"binf|.{{136}}{_OBJECTIVE}{_BOOSTER}", Format(
        "xgboost", "an XGBoost model in the binary format of releases before 3.1",
        "xgboost-binary")),
    (r"bs64", Format("xgboost-text", "an XGBoost model in base64, which XGBoost 1.0 and later do "
                     "not read; load it with the release that wrote it, and save it as JSON")),
    (r"\{L\0{7}|\{[iUIlL].{0,8}(learner|version)", Format(
        "xgboost", "an XGBoost model (UBJSON)", "xgboost")),
    (r'\s*\{\s*"(learner|version"\s*:\s*\[)', Format(
        "xgboost", "an XGBoost model (JSON)", "xgboost")),
    (r"tree\r?\nversion=", Format("lightgbm", "a LightGBM model (text)", "lightgbm")),
    (rf"\x08\x01\x12{_LENGTH}\n{_LENGTH}[\x12\x1a\x22\x2a\x32\x38]", Format(
        "savedmodel", "a TensorFlow SavedModel")),
    (rf"\x08[\x01-\x14]\x12{_LENGTH}\n{_LENGTH}\n", Format("coreml", "a Core ML model")),
    (r"\x08[\x01-\x20](\x12[^\0]{0,60})?[\x1a\x22\x28\x32\x3a\x42]", Format(
        "onnx", "an ONNX model", "onnx")),
    (r"....TFL3", Format("tflite", "a TensorFlow Lite model")),
    (r'.{5}\0{3}\{\s*"', Format("safetensors", "tensors of safetensors, without a model")),
    (r"7z\xbc\xaf\x27\x1c", Format("7z", "a 7z archive")),
    (r"ZF0x[0-9a-f]", Format("joblib-zf", "compressed by joblib 0.9 or older; load it with the "
                             "release that wrote it, and save it with a newer one")),
    (r"\s*(<\?xml[^>]{0,200}\?>\s*)?(<!--.{0,2000}?-->\s*)?<PMML\b", Format(
        "pmml", "a PMML model")),
    (r"\x93NUMPY", Format("numpy", "a numpy array (.npy)")),
    (r"PAR1", Format("parquet", "a Parquet table")),
    (r"ARROW1|FEA1", Format("arrow", "an Arrow table (Feather)")),
    (r"ORC", Format("orc", "an ORC table")),
    (r"Obj\x01", Format("avro", "an Avro file")),
    (r"SQLite format 3\0", Format("sqlite", "an SQLite database")),
    (r"MATLAB 5\.0 MAT-file", Format("matlab", "a MATLAB file")),
    (r"GGUF", Format("gguf", "a language model (GGUF)")),
    (r"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Format("office", "a Microsoft Office document")),
    (r"\x28\xb5\x2f\xfd", Format("zstd", "compressed by zstd; decompress it first")),
    (r"\xff\xfe|\xfe\xff", Format("text", "a text file in UTF-16")),
    (r"%PDF-", Format("pdf", "a PDF document")),
    (r"RDX[23]\n|RDA[23]\n|[XA]\n\0\0\0[\x02\x03]\0[\x01-\x09]", Format("r", "an R object")),
    (r"\x89PNG\r\n|\xff\xd8\xff|GIF8", Format("image", "a picture")),
    (r"\x7fELF", Format("executable", "a program")),
    (r"version https://git-lfs\.github\.com/spec", Format(
        "git-lfs", "a Git LFS pointer, not the model; fetch the model with `git lfs pull`")),
    (r"(?i)\s*<(!doctype )?html", Format(
        "html", "a web page, perhaps downloaded in place of the model")),
)  # fmt: skip
_ZIP: tuple[tuple[bytes, Format], ...] = (
    (b"data.pkl", Format("torch", "a PyTorch model")),
    (b"schema.json", SKOPS),
    (b"model.weights.h5", Format("keras", "a Keras model")),
    (b"xl/workbook.", Format("excel", "an Excel workbook")),
    (b".npy", Format("numpy", "a bundle of numpy arrays (.npz)")),
)
_PATTERNS = tuple((re.compile(p.encode("latin-1"), re.DOTALL), f) for p, f in _MAGIC)
_TAR = Format("tar", "a tar archive")


def recognise(head: bytes, tail: bytes = b"") -> Format | None:
    """Return the format of a file by its first and last bytes. None: perhaps a pickle.

    64 KiB of each are enough.
    """
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        both = head + tail
        return next((f for mark, f in _ZIP if mark in both), Format("zip", "a zip archive"))
    if head[257:262] == b"ustar":
        return _TAR
    return next((form for magic, form in _PATTERNS if magic.match(head)), None)


def as_text(head: bytes) -> Format | None:
    """Return the format of a text file that is not a pickle. None if it is not text."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        text = head[: error.start].decode("utf-8") if error.start > len(head) - 4 else ""
    if not text or not all(c.isprintable() or c in "\r\n\t\f" for c in text):
        return None
    kind = "JSON" if text.lstrip()[:1] in {"{", "["} else "text"
    return Format(kind.lower(), f"a {kind} file")
