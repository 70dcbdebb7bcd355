"""The formats that are recognised by content, and for those that are not read, the way out."""

from __future__ import annotations

from dataclasses import dataclass

from .ways_out import (
    CONVERT_TO_ONNX,
    EXPORT_ONNX,
    EXPORT_TORCH,
    GIVE_MODEL,
    LOAD_FASTAI,
    LOAD_TABNET,
    LOAD_TORCH,
    LOAD_TORCH_WEIGHTS,
    OTHER,
    OWN_PROPHET,
    OWN_SKTIME,
    ROWS_ONLY,
    SAVE,
    SAVE_IN_R,
    SAVE_JOBLIB,
    SERVE_TRANSFORMERS,
    TENSORFLOW_WEIGHTS,
    UNPACK,
)

READ = (
    "scikit-learn models saved by pickle, joblib or skops, and models of LightGBM (text), XGBoost "
    "(JSON, UBJSON, binary), CatBoost (.cbm), ONNX, PyTorch (torch.export, TorchScript) and Keras "
    "(.keras, .h5)"
)
"""All formats that are read, for errors."""


@dataclass(frozen=True)
class Format:
    """A format that is recognised.

    Attributes:
        name: The value of `ModelSpec.format`.
        description: Completes "the file is ...".
        hint: The way out if modelpack does not read the format. `{path}` is the
            file, and `{file}` its path as a shell takes it.
        reader: Key of `formats.READERS`. None if modelpack does not read the format.
    """

    name: str
    description: str
    hint: str = ""
    reader: str | None = None


MLFLOW = Format("mlflow", "the folder of an MLflow model")
MLFLOW_SCRIPT = Format("mlflow-script", "a script that MLflow runs to load a model")
SKOPS = Format("skops", "a skops file")
TORCH = Format("torch", "a PyTorch model", LOAD_TORCH)
TORCH_WEIGHTS = Format(
    "torch-weights", "the weights of a PyTorch model, without the model", LOAD_TORCH_WEIGHTS
)
FASTAI = Format("fastai", "a Learner of fastai", LOAD_FASTAI)
TORCH_PROGRAM = Format("torch-export", "a program of PyTorch (torch.export)", reader="torch-export")
TORCHSCRIPT = Format("torchscript", "a TorchScript model", reader="torchscript")
KERAS_H5 = Format("keras-h5", "a Keras model (HDF5)", reader="keras-h5")
COREML = Format("coreml", "a Core ML model", "Give the model that it was converted from.")
_ARCHIVE = f"{UNPACK} modelpack reads an archive with one model and no code as it is."
WHEEL = Format("wheel", "a Python distribution, not a model", UNPACK)
TAR = Format("tar", "a tar archive", _ARCHIVE)
ZIP = Format("zip", "a zip archive", _ARCHIVE)
NPZ = Format("npz", "a bundle of numpy arrays (.npz)", SAVE)
SEVERAL = Format("pickles", "{} pickles one after another, of which loading reads the first", (
    "If you trust its author, save the objects as one list: python -c \"import joblib, "
    "pickle{more}; f = {file_object}; "
    "joblib.dump([pickle.load(f) for _ in iter(f.peek, b'')], 'model.joblib')\""
))  # fmt: skip
SEVERAL_JOBLIB = Format("joblibs", SEVERAL.description, (
    "If you trust its author, save the objects as one list: python -c \"import joblib{more}; "
    "f = {file_object}; joblib.dump([joblib.load(f) for _ in iter(f.peek, b'')], 'model.joblib')\""
))  # fmt: skip
_FILE_OBJECTS = {
    "raw": ("", "open('{path}', 'rb')"),
    "bz2": (", bz2", "bz2.open('{path}')"),
    "gzip": (", gzip, io", "io.BufferedReader(gzip.open('{path}'))"),
    "lz4": (", lz4.frame", "lz4.frame.open('{path}')"),
    "lzma": (", lzma", "lzma.open('{path}')"),
    "xz": (", lzma", "lzma.open('{path}')"),
    "zlib": (", io, zlib", "io.BufferedReader(io.BytesIO(zlib.decompress(open('{path}', "
             "'rb').read())))"),
}  # fmt: skip
"""Compression -> the modules, and the expression that opens a file for a program of Python."""

EXTERNAL = Format(
    "joblib-files", "one of several files of joblib 0.9 or older: its arrays are in other files",
    SAVE_JOBLIB)  # fmt: skip
ENCRYPTED = Format("encrypted", "encrypted", "Decrypt it, and give the result.")
LFS = Format(
    "git-lfs", "a Git LFS pointer, not the model",
    "Fetch the model: git lfs pull --include {file}")  # fmt: skip
COMPRESSED = Format("compressed", "compressed twice", "Decompress it once, and give the result.")
UNKNOWN = Format("unknown", "in no format that modelpack knows", (
    "If its library is one that modelpack serves, save the fitted model with joblib.dump(model, "
    "'model.joblib') or in a format of the library. " + OTHER
))  # fmt: skip

_LENGTH = r"[\x80-\xff]{0,4}[\0-\x7f]"  # a varint of Protocol Buffers
_OBJECTIVE = r"[\x01-\x40]\0{7}[a-z]+(:[a-z]+)?"
_BOOSTER = r"(\x06\0{7}gbtree|\x04\0{7}dart|\x08\0{7}gblinear)"
_FRAME = r"(\x95.{8})?"  # since protocol 4

MAGIC: tuple[tuple[str, Format], ...] = (
    # torch.save before 1.6 began with a pickle of this number alone.
    (rf"\x80[\x02-\x05]{_FRAME}\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19\.", TORCH),
    # onnxruntime checks for this before it reads a file as ONNX. A file can be valid as both.
    (r"....ORTM", Format(
        "ort", "a model in the ORT format of onnxruntime", "Give the ONNX file it was made from.")),
    (r"CBM1", Format("catboost", "a CatBoost model (.cbm)", reader="catboost")),
    # XGBoost before 1.3 wrote no "binf": 136 bytes of numbers, and two names.
    (rf"binf|.{{136}}{_OBJECTIVE}{_BOOSTER}", Format(
        "xgboost", "an XGBoost model in the binary format of releases before 3.1",
        reader="xgboost-binary")),
    (r"bs64", Format(
        "xgboost-text", "an XGBoost model in base64, which XGBoost 1.0 and later do not read",
        "Load it with the release that wrote it, and save it: model.save_model('model.bin')")),
    (r"\{L\0{7}|\{[iUIlL].{0,8}(learner|version)", Format(
        "xgboost", "an XGBoost model (UBJSON)", reader="xgboost")),
    (r'\s*\{\s*"learner"\s*:\s*\{\s*"generic_param"', Format(
        "xgboost-config", "the settings of an XGBoost model, without its trees",
        "Save the model itself: model.save_model('model.ubj')")),
    (r'\s*\{\s*"(learner|version"\s*:\s*\[)', Format(
        "xgboost", "an XGBoost model (JSON)", reader="xgboost")),
    (r"tree\r?\nversion=", Format("lightgbm", "a LightGBM model (text)", reader="lightgbm")),
    (rf"\x08\x01\x12{_LENGTH}\n{_LENGTH}[\x12\x1a\x22\x2a\x32\x38]", Format(
        "savedmodel", "a TensorFlow SavedModel", CONVERT_TO_ONNX.format("--saved-model FOLDER"))),
    (rf"\x08[\x01-\x14]\x12{_LENGTH}\n{_LENGTH}\n", COREML),
    (r"\x08[\x01-\x20](\x12[^\0]{0,2000}?)?[\x1a\x22\x28\x32\x3a\x42]", Format(
        "onnx", "an ONNX model", reader="onnx")),
    (r"....TFL3", Format(
        "tflite", "a TensorFlow Lite model", CONVERT_TO_ONNX.format("--tflite {file}"))),
    (r"\n.\n\x05<unk>\x15", Format("sentencepiece", "a tokenizer of SentencePiece", OTHER)),
    (rf"\n{_LENGTH}\x08\0\x10\xff{{9}}\x01", Format("paddle", "a PaddlePaddle model", EXPORT_ONNX)),
    (rf"\n{_LENGTH}\n[\x01-\x7f][!-~]+\x12[\x01-\x40][A-Z]\w+", Format(
        "tensorflow", "a graph of TensorFlow",
        CONVERT_TO_ONNX.format("--graphdef {file} --inputs NAME:0 --outputs NAME:0"))),
    (r"\s*node \{\s*\n", Format(
        "tensorflow-text", "a graph of TensorFlow in text",
        "Save it as a binary file with tf.io.write_graph(graph, '.', 'graph.pb', as_text=False). "
        + CONVERT_TO_ONNX.format("--graphdef graph.pb --inputs NAME:0 --outputs NAME:0"))),
    (r'(#[^\n]*\n|\s)*(name: *"[^"\n]*"\s*\n\s*)?((layers?|input_shape) *\{|input: *")', Format(
        "caffe-text", "the layers of a Caffe model, without parameters", OTHER)),
    (r'[^\0]{0,500}?^(platform|backend): *"', Format(
        "triton", "the configuration of a model of Triton",
        "Give the file of the model, in the folder with the number of its version.")),
    (r"\n[\x01-\x7f][ -~]+(\x12|\xa2\x06)", Format("caffe", "a Caffe model", OTHER)),
    (r"\x12\x01\0{6}", Format("mxnet", "parameters of MXNet, without a model", EXPORT_ONNX)),
    (r'.{5}\0{3}\{\s*"', Format(
        "safetensors", "tensors of safetensors, without a model",
        "Load them into the model that they belong to, and export it: " + EXPORT_TORCH)),
    (r"GGUF|lmgg|tjgg|fmgg", Format(
        "gguf", "a language model (GGUF)",
        "Serve it with llama.cpp: llama-server -m {file}. modelpack serves rows of tables.")),
    (r"ZF0x[0-9a-f]", Format("joblib-zf", "compressed by joblib 0.9 or older", SAVE_JOBLIB)),
    (r"\s*(<\?xml[^>]{0,200}\?>\s*)?(<!--.{0,2000}?-->\s*)?<PMML\b", Format(
        "pmml", "a PMML model", "Save the estimator that it was made from with joblib.dump.")),
    (r"\s*(<\?xml[^>]{0,200}\?>\s*)?<net [^>]*\bversion=", Format(
        "openvino", "an OpenVINO model", "Give the ONNX file that it was converted from.")),
    (r"\x1c\xed", Format("h2o", "a model of H2O in its binary format", OTHER)),
    (r"[\x81-\x8f][\xa1-\xbf][\w.]+[\x81-\x8f][\xa1-\xbf]\w", Format(
        "msgpack", "data of MessagePack, as Flax saves parameters",
        "Restore the parameters in JAX, and export the function that predicts with "
        "jax2onnx.to_onnx.")),
    (r"ftrt", Format("tensorrt", "an engine of TensorRT", "Give the ONNX file it was built from.")),
    (r"7767517\r?\n", Format(
        "ncnn", "the layers of an ncnn model", "Give the ONNX file that it was converted from.")),
    (r"\0{4}[\x01\x02]\0{3}[\0-\x05]\0{3}|([#;][^\n]*\n|\s)*\[net(work)?\]\s", Format(
        "darknet", "a model of Darknet (YOLO)", OTHER)),
    (r"[\x03\x04]\0{3}.\0{3}.\0{3}[\x02\x03]{2}.{4}\0{4}", Format(
        "treelite", "a Treelite model", "Give the model that it was made from.")),
    (r"%YAML:1\.0\s*---\s*opencv_ml_|\s*(<\?xml[^>]{0,200}\?>\s*)?<opencv_storage>", Format(
        "opencv", "a model of OpenCV", OTHER)),
    (r"SVM-light Version", Format("svmlight", "a model of SVMlight", OTHER)),
    (r"\xac\xed\0\x05", Format("java", "an object of Java, as Weka writes models", OTHER)),
    (r"svm_type \w+\n|solver_type \w+\n", Format("libsvm", "a LIBSVM or LIBLINEAR model", SAVE)),
    (r"lCRF", Format("crfsuite", "a CRFsuite model", "Save the sklearn_crfsuite.CRF with joblib.")),
    (r"\xba\x16\x4f\x2f", Format("fasttext", "a fastText model", OTHER)),
    (r"[\x05-\x10]\0{3}\d+\.\d+\.\d+\0", Format("vowpal", "a Vowpal Wabbit model", OTHER)),
    (r"I[xwBv][A-Z][A-Za-z0-9].{2}\0\0", Format("faiss", "an index of Faiss, not a model", OTHER)),
    (r"\d+ \d+\r?\n\S+ ", Format("word2vec", "word vectors (word2vec)", OTHER)),
    (r"[^\s\d]\S*( -?\d+\.\d+(e-?\d+)?){8}", Format(
        "word2vec", "word vectors (GloVe)", OTHER)),
    (r'booster\[0\]:\r?\n|\s*\[\s*\{\s*"nodeid"', Format(
        "xgboost-dump", "a text of the trees of an XGBoost model, which XGBoost cannot load",
        "Save the model itself: model.save_model('model.ubj')")),
    (r'\s*\{\s*"name"\s*:\s*"tree"', Format(
        "lightgbm-dump", "a text of the trees of a LightGBM model, which LightGBM cannot load",
        "Save the model itself: model.save_model('model.txt')")),
    (r'\s*\{[^{]{0,40}(\{.{0,4000})?"(features_info|model_info)"', Format(
        "catboost-json", "a CatBoost model (JSON)",
        "Save it in CatBoost's own format: model.save_model('model.cbm')")),
    (r'\s*\{\s*"growth"\s*:', Format("prophet-json", "a Prophet model (JSON)", OWN_PROPHET)),
    (r'\s*\{\s*"version"\s*:\s*"1\.0",\s*"truncation"', Format(
        "tokenizer", "a tokenizer of Hugging Face, not a model", f"{ROWS_ONLY} {OTHER}")),
    (r'\s*\{\s*"metadata"\s*:\s*\{[^{}]*\},\s*"weight_map"', Format(
        "transformers", "the index of a model of Transformers", SERVE_TRANSFORMERS)),
    (r'\s*\{(?=.{0,4000}?"(architectures|model_type|transformers_version)"\s*:)', Format(
        "transformers", "the configuration of a model of Transformers", SERVE_TRANSFORMERS)),
    (r'\s*\{\s*"nodes"\s*:\s*\[\s*\{\s*"op"\s*:', Format(
        "mxnet-json", "the layers of an MXNet model, without parameters", EXPORT_ONNX)),
    (r'\s*\{\s*"(format"\s*:\s*"(layers|graph)-model|modelTopology)"', Format(
        "tensorflow-js", "a model of TensorFlow.js", CONVERT_TO_ONNX.format("--tfjs {file}"))),
    (r'\s*\{(?=.{0,4000}?"input"\s*:)(?=.{0,4000}?"output"\s*:)(?=.{0,4000}?"action"\s*:)', Format(
        "pfa", "a PFA document", "Save the estimator that it was made from with joblib.dump.")),
    (r'\s*\{\s*("module"\s*:\s*"keras|"class_name"\s*:\s*"(Sequential|Functional|Model)")', Format(
        "keras-json", "the layers of a Keras model, without weights",
        "Save it with its weights: model.save('model.keras')")),
    (r'\s*\{\s*"(cells|nbformat|metadata"\s*:\s*\{\s*"kernelspec)"', Format(
        "notebook", "a notebook, not a model", "Run it, and give the file that it saves.")),
    (r"<\s*ir_version:", Format(
        "onnx-text", "an ONNX model in text", "Save it in the binary format: "
        "onnx.save(onnx.load('{path}', format='onnxtxt'), 'model.onnx')")),
    (r"[^\0]{0,2000}?^flavors:\r?$", Format(
        "mlmodel", "the description of an MLflow model",
        "Give the folder that contains it and the file of the model.")),
    (r"outs:\r?\n- md5:", Format(
        "dvc", "a DVC pointer, not the model", "Fetch the model: dvc pull {file}")),
    (r"version https://git-lfs\.github\.com/spec", LFS),
    (r'\s*(\{\s*"(message|error|errors|detail)"\s*:|(<\?xml[^>]{0,200}\?>\s*)?<Error>'
     r"|(404: Not Found|Entry not found|Repository not found|Access denied)\s*\Z)", Format(
        "error-message", "the error message of a server, in place of the model",
        "Download the model again. The message in the file contains the cause.")),
    (r"(?i)\s*<(!doctype )?html", Format(
        "html", "a web page, perhaps downloaded in place of the model",
        "Download the model again, by the link to the file itself.")),
    (r'\s*(\[\s*[\[{]|\{\s*"(instances|inputs|dataframe_split|dataframe_records|columns)"\s*:'
     r'|\{[^{}\n]*\}\r?\n\s*\{)', Format("rows", "rows (JSON), not a model", GIVE_MODEL)),
    (r"[-+]?\d+(\.\d+)? (qid:\d+ )?\d+:\S", Format(
        "rows", "rows (LIBSVM), not a model", GIVE_MODEL)),
    (r"(%[^\n]*\n|\s)*@(?i:relation)\s", Format("arff", "a table of Weka (ARFF)", GIVE_MODEL)),
    (r"\x93NUMPY", Format("numpy", "a numpy array (.npy)", GIVE_MODEL)),
    (r"PAR1", Format("parquet", "a Parquet table", GIVE_MODEL)),
    (r"ARROW1|FEA1|\xff{4}.{3}\0\x10\0{3}", Format("arrow", "an Arrow table", GIVE_MODEL)),
    (r"ORC", Format("orc", "an ORC table", GIVE_MODEL)),
    (r"Obj\x01", Format("avro", "an Avro file", GIVE_MODEL)),
    (r"<stata_dta>|[\x69-\x75][\x01\x02]\x01\0", Format("stata", "a table of Stata", GIVE_MODEL)),
    (r"\$FL[23]@\(#\)", Format("spss", "a table of SPSS", GIVE_MODEL)),
    (r"HEADER RECORD\*{7}|\0{12}\xc2\xea\x81\x60", Format("sas", "a table of SAS", GIVE_MODEL)),
    (r"SQLite format 3\0", Format("sqlite", "an SQLite database", GIVE_MODEL)),
    (r"\xce\x9a\x57\x13|\x13\x57\x9a\xce", Format(
        "dbm", "a database of shelve (GDBM)",
        "If you trust its author, load the model with shelve.open. " + SAVE)),
    (r"______LightGBM_Binary_File_Token______|\x01\xab\xff\xff", Format(
        "dataset", "rows for training, as LightGBM and XGBoost save them", GIVE_MODEL)),
    (r"MATLAB [57]\.\d MAT-file", Format("matlab", "a MATLAB file", OTHER)),
    (r"RDX[23]\n|RDA[23]\n|[XA]\n\0\0\0[\x02\x03]\0[\x01-\x09]|A\n[23]\n\d", Format(
        "r", "an R object", SAVE_IN_R)),
    (r".[\x0c-\x0f]\r\n", Format("pyc", "compiled Python code, not a model", SAVE)),
    (r"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Format("office", "a Microsoft Office document", SAVE)),
    (r"%PDF-", Format("pdf", "a PDF document", SAVE)),
    (r"\x89PNG\r\n|\xff\xd8\xff|GIF8|II\*\0|MM\0\*|RIFF.{4}WEBP", Format(
        "image", "a picture", SAVE)),
    (r"RIFF.{4}(WAVE|AVI )|OggS|fLaC|ID3[\x02-\x04]|\0\0\0.ftyp", Format(
        "media", "sound or a film", SAVE)),
    (r".{12}\x09.{8}\x1a\x0dbrain\.Event", Format(
        "tensorboard", "a log of TensorBoard, not a model", SAVE)),
    (r"\x7fELF|MZ.{58}..\0\0", Format("executable", "a program", SAVE)),
    (r"\x28\xb5\x2f\xfd", Format(
        "zstd", "compressed by zstd", "Decompress it, and give the result: zstd -d {file}")),
    (r"\xff\x06\0\0sNaPpY", Format("snappy", "compressed by Snappy", "Decompress it first.")),
    (r"LZIP\x01|\x1f\x9d[\x80-\x90]", Format(
        "unix-compressed", "compressed by lzip or compress", "Decompress it first.")),
    (r"!<arch>\n|MSCF\0{4}", Format("archive", "an archive of a package", UNPACK)),
    (r"7z\xbc\xaf\x27\x1c", Format("7z", "a 7z archive", UNPACK)),
    (r"Rar!\x1a\x07", Format("rar", "a RAR archive", UNPACK)),
    (r"Salted__|age-encryption\.org/|-----BEGIN (PGP|AGE)|\$ANSIBLE_VAULT;", ENCRYPTED),
    # OpenPGP: a session key of a passphrase, or of a public key.
    (r"\x8c\x0d\x04[\x01-\x0d][\0-\x03]|\x85[\x01\x02].\x03|\x84.\x03", ENCRYPTED),
    (r"\xff\xfe|\xfe\xff", Format("text", "a text file in UTF-16", SAVE)),
)  # fmt: skip
"""The first bytes of a format, as a regular expression, and the format. The first match counts."""

_HDF5 = r"\x89HDF\r\n\x1a\n"
CONTAINERS: dict[str, tuple[tuple[bytes, Format], ...]] = {
    r"PK\x03\x04|PK\x05\x06": (
        (b"/archive_format", TORCH_PROGRAM),
        (b"serialized_exported_program.json", Format(
            "torch-export-old", "a program of torch.export of PyTorch before 2.8",
            "If you trust its author, save it again with PyTorch 2.8 or later: "
            "torch.export.save(torch.export.load('{path}'), 'model.pt2'). If PyTorch does not load "
            "it, export the model again.")),
        (b"/.data/extern_modules", Format(
            "torch-package", "a package of torch.package, which contains Python code",
            "If you trust its author, load the model in it (torch.package.PackageImporter("
            f"'{{path}}').load_pickle('PACKAGE', 'RESOURCE')) and export it: {EXPORT_TORCH}")),
        (b"/constants.pkl", TORCHSCRIPT),
        (b"/data.pkl", TORCH),
        (b"schema.json", SKOPS),
        (b"model.weights.h5", Format("keras", "a Keras model (.keras)", reader="keras")),
        (b"xl/workbook.", Format("excel", "an Excel workbook", GIVE_MODEL)),
        (b"com.apple.CoreML/", COREML),
        (b"model.ini", Format("mojo", "a model of H2O (MOJO)", OTHER)),
        (b"TransformerChain", Format("mlnet", "a model of ML.NET", EXPORT_ONNX)),
        (b"word/document.xml", Format("office", "a Microsoft Office document", SAVE)),
        (b"_stable_baselines3_version", Format(
            "stable-baselines", "an agent of Stable-Baselines3",
            "Export its policy to ONNX, as the documentation of Stable-Baselines3 shows.")),
        (b"network.pt", Format("tabnet", "a model of pytorch-tabnet", LOAD_TABNET)),
        (b"MAR-INF/", Format("torchserve", "an archive of TorchServe", UNPACK)),
        (b"_metadataPK\x01\x02", Format("sktime", "a model of sktime", OWN_SKTIME)),
        (b"EGG-INFO/", WHEEL),
        (b".dist-info/", WHEEL),
        (b"META-INF/MANIFEST.MF", Format("jar", "an archive of Java", OTHER)),
        (b'model.json{"arrays":', Format(
            "modelpack", "a compiled model of modelpack", "Give the model that it was made from.")),
        (b".npy", NPZ),
        (b"", ZIP),
    ),
    _HDF5: (
        (b"keras_version", KERAS_H5),
        (b"layer_names", KERAS_H5),
        (b"layers\0", Format(
            "keras-weights", "the weights of a Keras model",
            "Create the model, load them and save it as one file: "
            "model.load_weights('{path}'); model.save('model.keras')")),
        (b"", Format("hdf5", "an HDF5 file", GIVE_MODEL)),
    ),
}  # fmt: skip
"""The first bytes of a container -> what its first or last 64 KiB contain, and the format."""

PLAIN_ZIPS = (NPZ, ZIP)
"""What archives are recognised as if the last member, which names another format, is missing."""

END_OF_ZIP = b"PK\5\6"
"""The mark of the record at the end of a zip archive."""

TAILS: tuple[tuple[bytes, Format], ...] = (
    (b"\x57\xfb\x80\x8b\x24\x75\x47\xdb", Format(
        "checkpoint", "a checkpoint of TensorFlow, without a model",
        f"{TENSORFLOW_WEIGHTS}. If its file MODEL.meta exists: "
        "python -m tf2onnx.convert --checkpoint MODEL.meta --output model.onnx "
        "--inputs NAME:0 --outputs NAME:0")),
)  # fmt: skip
"""The last bytes of a format."""

TEXTS: tuple[tuple[str, Format], ...] = (
    (r"(#[^\n]*\n|\s)*\[+[A-Za-z][\w. -]*\]+[ \t]*\r?\n", Format(
        "settings", "a file of settings, not a model", SAVE)),
    (r"\s*[{\[]", Format("json", "a JSON file", SAVE)),
    (r"\s*(<\?xml|<\w+[\s>])", Format("xml", "an XML file", SAVE)),
    (r'([ \t\r\f]*(#.*|"""[^"]*""".*)?\n)*((import|from) \w|(def|class) \w+ ?[(:])', Format(
        "python", "Python code, not a model",
        "Run it if it trains and saves the model, and give that file.")),
    (r"(//[^\n]*\n|/\*[^*]*(\*[^*/][^*]*)*\*+/|\s)*"
     r"(#(include|pragma|ifndef|define)\b|package [\w.]+;|import java|public class"
     r"|(static )?(double|float|int|void) \w+\()", Format(
        "source-code", "source code, not a model",
        "Give the file of the model that it was written from.")),
    (r"(#[^\n]*\n|\s)*(FROM|ARG) \S", Format(
        "dockerfile", "a Dockerfile, not a model",
        "Give the file of the model. modelpack writes a Dockerfile: modelpack bundle MODEL -o "
        "FOLDER")),
    (r"(#[^\n]*\n|\s)*([\w.-]+:([ \t][^\n]*)?\n[ \t\r\n]*(- |[\w.-]+:\s)"
     r"|(---|%YAML[^\n]*)[ \t\r]*\n)", Format(
        "yaml", "a YAML file, not a model", SAVE)),
    (r"[^\n,]*,[^\n]*\n[^\n,]*,", Format("csv", "a table (CSV), not a model", GIVE_MODEL)),
    (r"[^\n;]*;[^\n]*\n[^\n;]*;", Format("csv", "a table (CSV), not a model", GIVE_MODEL)),
    (r"[^\n\t]*\t[^\n]*\n[^\n\t]*\t", Format("tsv", "a table (TSV), not a model", GIVE_MODEL)),
    (r"", Format("text", "a text file, not a model", SAVE)),
)  # fmt: skip
"""What a text that is not a pickle begins with, and its format.

No character fits two repetitions that follow each other: texts of any form take linear time.
"""

ALL = (
    *(found for _, found in (*MAGIC, *TAILS, *TEXTS)),
    *(found for marks in CONTAINERS.values() for _, found in marks),
    FASTAI, TAR, TORCH_WEIGHTS, SEVERAL, SEVERAL_JOBLIB, EXTERNAL, COMPRESSED, UNKNOWN,
)  # fmt: skip
_HINTS = {found.name: found.hint for found in ALL}


def is_document(form: Format) -> bool:
    """Return whether files of a format are rows, pictures or texts, and no models."""
    return form.hint in {GIVE_MODEL, SAVE}


def format_hint(name: str, container: str = "raw") -> str:
    """Return the way out of a file of the format `name`; "" for a format that is read."""
    more, file_object = _FILE_OBJECTS.get(container, _FILE_OBJECTS["raw"])
    return _HINTS.get(name, "").replace("{more}", more).replace("{file_object}", file_object)
