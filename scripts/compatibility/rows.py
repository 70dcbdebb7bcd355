"""The models of shared/models, from their manifests: a row a file, or files that are one model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

EXPLORED = None
"""In place of rows: the example that modelpack found in the file."""


@dataclass(frozen=True)
class Request:
    """`instances` are sent, and `predictions` and `probabilities` (in the order of the classes)
    come back, as near as `tolerance`; None: whatever it is. `status` of the answer.
    """

    instances: Sequence[Any] | None = EXPLORED
    predictions: Sequence[Any] | None = None
    probabilities: Sequence[Sequence[float]] | None = None
    tolerance: float = 0.0
    status: int = 200


@dataclass(frozen=True)
class Row:
    """A row of the compatibility table.

    Attributes:
        options: Options of `modelpack package`.
        example: The file next to this module that is given with --example, or "".
        codes: If given, the command must fail with one of these exit codes.
        words: If given, the error must contain this text.
        must: Whether shared/models/README.md requires the result.
    """

    folder: str
    files: tuple[str, ...]
    requests: tuple[Request, ...] = ()
    options: tuple[str, ...] = ()
    example: str = ""
    codes: tuple[int, ...] = ()
    words: str = ""
    must: bool = True
    note: str = field(default="", compare=False)


IRIS = Request([[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]], [1, 1])
HOUSE = {
    "MSZoning": "RL", "LotArea": 8450, "LotShape": "Reg", "Utilities": "AllPub", "YrSold": 2008,
    "Neighborhood": "CollgCr", "OverallQual": 7, "YearBuilt": 2003, "SaleType": "WD",
    "GarageArea": 548,
}  # fmt: skip
NO_MODEL = (4,)


def trust(*names: str) -> tuple[str, ...]:
    return tuple(word for name in names for word in ("--trust", name))


def requirement(*lines: str) -> tuple[str, ...]:
    return tuple(word for line in lines for word in ("--requirement", line))


ROWS = (
    Row(
        "kserve-svc-joblib-1.3.2",
        ("model.joblib",),
        (
            Request([[5.1, 3.5, 1.4, 0.2]], [0]),
            IRIS,
            Request(
                [[6.8, 2.8, 4.8, 1.4]], probabilities=[[0.0071, 0.8299, 0.1631]], tolerance=5e-5
            ),
        ),
    ),
    Row("kserve-svc-pkl-1.3.2", ("model.pkl",), (IRIS,)),
    Row("kserve-svc-pkl-1.3.2", ("model.pickle",), (IRIS,)),
    *(
        Row(
            "kserve-svc-noproba",
            (file,),
            (IRIS, Request([[6.8, 2.8, 4.8, 1.4]], probabilities=[], status=400)),
            note="a request for probabilities is refused, as there are none",
        )
        for file in ("model.pickle", "model.joblib")
    ),
    Row("kserve-svc-pkl-0.20.3", ("model.pkl",), (IRIS,)),
    Row("kserve-mixedtype-1.3.0", ("model.joblib",), (Request([HOUSE], [12.202832815138274]),)),
    *(
        Row("kserve-empty-files", (file,), codes=NO_MODEL, words="0 bytes")
        for file in ("model.joblib", "model.pkl")
    ),
    Row(
        "kserve-lightgbm-bst",
        ("model.bst",),
        (
            Request(
                [[6.8, 2.8, 4.8, 1.6], [6.0, 3.4, 4.5, 1.6]],
                [
                    [3.7899802486733807e-06, 0.9996982074114203, 0.00029800260833088297],
                    [5.2172911836629736e-05, 0.99973341723876, 0.000214409849403366],
                ],
            ),
        ),
    ),
    Row(
        "yasa-0.8.1",
        ("clf_eeg_lgb_0.5.0.joblib",),
        (
            Request(
                [[0.0] * 65],
                ["W"],
                [[0.0503, 0.0163, 0.0001, 0.0, 0.9333]],
                tolerance=5e-5,
            ),
        ),
    ),
    Row("yasa-0.8.1", ("clf_eeg+eog+emg+demo_lgb_0.5.0.joblib",), (Request([[0.0] * 151]),)),
    Row("stringsifter-3.20230711", ("ranker.pkl",), (Request([[0.0] * 576]),)),
    Row(
        "stringsifter-3.20230711",
        ("featurizer.pkl", "ranker.pkl"),
        (Request(["kernel32.dll", "http://example.org/a.exe", "aaaa"]),),
        options=(
            *requirement("stringsifter==3.20230711"),
            *trust("stringsifter.preprocess:Featurizer", "stringsifter.preprocess:Mapper"),
        ),
    ),
    Row("stringsifter-3.20230711", ("markov.pkl",), codes=NO_MODEL, words="a dict with 2 keys"),
    *(
        Row(
            "kserve-xgboost",
            (file,),
            (Request([[5.1, 3.5, 1.4, 0.2], [6.8, 2.8, 4.8, 1.4]], [0.0, 1.0]),),
        )
        for file in ("model.json", "model.ubj", "model.bst", "xgboost__model.bst")
    ),
    Row("rdtools-3.2.1", ("xgboost_clipping_model.json",), (Request(),)),
    Row(
        "catboost-server-rs",
        ("model.cbm",),
        (
            Request(
                [["a", "b", "c", 0.5, 1.5], ["0", "1", "2", 1.0, 2.0]],
                [0.75290898, 0.49162881],
                tolerance=5e-9,
            ),
        ),
    ),
    Row(
        "onnxruntime-logreg-iris",
        ("logreg_iris.onnx",),
        (
            Request(
                [[6.8, 2.8], [5.1, 3.5], [6.0, 3.4]],
                probabilities=[
                    [0.8421, 7.5e-08, 0.1579],
                    [0.9783, 1.05e-06, 0.0217],
                    [0.956, 1.4e-07, 0.044],
                ],
                tolerance=5e-5,
            ),
        ),
    ),
    Row(
        "hatesonar-0.1.0-onnx",
        ("model.onnx",),
        (
            Request(
                ["I love this community"],
                [2],
                [[0.0248, 0.2912, 0.6839]],
                tolerance=5e-5,
            ),
        ),
    ),
    Row(
        "alt-profanity-1.9.1",
        ("vectorizer.joblib", "model.joblib"),
        (
            Request(
                [
                    "predict() takes an array and returns a 1 for each string if it is offensive, "
                    "else 0.",
                    "fuck you",
                ],
                [0, 1],
            ),
            Request(
                [
                    "predict_prob() takes an array and returns the probability each string is "
                    "offensive",
                    "go to hell, you scum",
                ],
                probabilities=[[0.9697, 0.0303], [0.0006, 0.9994]],
                tolerance=5e-5,
            ),
        ),
    ),
    Row(
        "soft404-0.2.1",
        ("clf.joblib",),
        (
            Request(
                ["<h1>Page not found</h1>"],
                [True],
                [[0.0124374927827527, 0.9875625072172473]],
                tolerance=1e-9,
            ),
        ),
        options=(
            *requirement("soft404==0.2.1", "parsel"),
            *trust(
                "soft404.predict:_transformer",
                "soft404.utils:html_to_item",
                "soft404.utils:item_to_text",
            ),
        ),
        note="its html-text requires parsel, but does not declare it",
    ),
    Row(
        "mriqc-0.16.1",
        ("mclf_run-20170724-191452_mod-rfc_ver-0.9.7-rc8_class-2_cv-loso_data-all_estimator.pklz",),
        (Request(),),
        options=(
            *requirement("mriqc==0.16.1", "simplejson<=3.20.2"),
            *trust(
                *(
                    f"mriqc.classifier.sklearn.preprocessing:{name}"
                    for name in ("BatchRobustScaler", "CustFsNoiseWinnow", "PandasAdaptor",
                                 "SiteCorrelationSelector")
                )
            ),
        ),
        example="mriqc.json",
        note="rows of a known site, with all columns of the training",
    ),
    *(
        Row("mtcnn-1.0.0-lz4", (file,), codes=NO_MODEL, words=f"a list of {count} numpy arrays")
        for file, count in (("pnet.lz4", 13), ("rnet.lz4", 16), ("onet.lz4", 21))
    ),
    Row(
        "loan-payback-shap-explainer",
        ("explainer.joblib",),
        codes=(3, 4),
        words="an explainer of shap",
    ),
)  # fmt: skip
