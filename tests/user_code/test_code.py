"""User code: the files that go into the bundle, and the distributions that they need."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest
from code_specs import spec_naming, write

from modelpack.errors import UsageError
from modelpack.types import Code, Estimator, Signature
from modelpack.user_code import (
    CodeOptions,
    distributions,
    find_code,
    notices,
    with_code_requirements,
)

RUNS = "raise SystemExit('code was executed')\n"


def find(
    root: Path, files: dict[str, str], *names: str, options: CodeOptions | None = None
) -> Code:
    """Return the code found for a model that contains `names`, next to `files`."""
    write(root, files)
    return find_code(spec_naming(root / "model.pkl", *names), options or CodeOptions())


def paths(code: Code) -> list[str]:
    return [file.path for file in code.files]


# --- locations of modules ------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "src/"])
def test_module_next_to_the_model_is_found(tmp_path: Path, prefix: str) -> None:
    code = find(tmp_path, {f"{prefix}shop.py": RUNS}, "shop:Model")
    assert paths(code) == ["shop.py"]
    assert code.files[0].source == str(tmp_path / prefix / "shop.py")
    assert code.files[0].sha256 == hashlib.sha256(RUNS.encode()).hexdigest()
    assert code.missing == ()


def test_a_module_elsewhere_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        tmp_path, {"here/shop.py": "", "path/shop.py": "", "shop.py": "", "models/lib/shop.py": ""}
    )
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))
    monkeypatch.syspath_prepend(tmp_path / "path")
    code = find_code(spec_naming(tmp_path / "models" / "model.pkl", "shop:Model"), CodeOptions())
    assert (paths(code), code.missing) == ([], ("shop",))


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("project", "project/shop/models.py"),
        ("project/shop", "project/shop/models.py"),
        ("layout", "layout/src/shop/models.py"),
    ],
)
def test_the_folder_given_comes_first(tmp_path: Path, option: str, expected: str) -> None:
    package = {"shop/__init__.py": "", "shop/models.py": ""}
    for folder in ("", "project/", "layout/src/"):
        write(tmp_path, {folder + name: text for name, text in package.items()})
    spec = spec_naming(tmp_path / "model.pkl", "shop.models:Model")
    code = find_code(spec, CodeOptions(paths=(tmp_path / option,)))
    assert [file.source for file in code.files if file.path == "shop/models.py"] == [
        str(tmp_path / expected)
    ]


def test_a_package_without_init_is_one_too(tmp_path: Path) -> None:
    code = find(tmp_path, {"shop/deep/models.py": ""}, "shop.deep.models:Model")
    assert paths(code) == ["shop/deep/models.py"]


@pytest.mark.parametrize("name", ["shop.py", "nowhere", "shop.ipynb"])
def test_invalid_code_path_is_a_usage_error(tmp_path: Path, name: str) -> None:
    if "." in name and not name.endswith(".py"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(UsageError, match=r"of --code (does not exist|is )"):
        find(tmp_path, {}, "shop:Model", options=CodeOptions(paths=(tmp_path / name,)))


def test_most_models_need_nothing(tmp_path: Path) -> None:
    assert find_code(spec_naming(tmp_path / "model.pkl"), CodeOptions()) == Code()


# --- what is copied ------------------------------------------------------------------------------

SHOP = {
    "shop/__init__.py": "VERSION = 1\n",
    "shop/data.csv": "a,b\n",
    "shop/tests/test_models.py": RUNS,
    "shop/unrelated.py": RUNS,
    "other.py": RUNS,
}
DEEP = ["shop/deep/__init__.py", "shop/deep/er.py"]


@pytest.mark.parametrize(
    ("text", "copied"),
    [
        ("from . import prices", ["shop/prices.py"]),
        ("from .prices import double", ["shop/prices.py"]),
        ("from shop import prices", ["shop/prices.py"]),
        ("import shop.prices", ["shop/prices.py"]),
        ("from shop.prices import *", ["shop/prices.py"]),
        ("def f():\n    from . import prices", ["shop/prices.py"]),
        ("if True:\n    import shop.prices\nelse:\n    import shop.rates",
         ["shop/prices.py", "shop/rates.py"]),
        ("try:\n    from . import prices\nexcept ImportError:\n    pass", ["shop/prices.py"]),
        ("import importlib\nm = importlib.import_module('shop.prices')", ["shop/prices.py"]),
        ("from .deep.er import thing", [*DEEP, "shop/rates.py"]),
        ("from .deep import *", [*DEEP, "shop/rates.py"]),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from . import prices", []),
        ("from shop import VERSION", []),
        ("'from . import prices'", []),
    ],
)  # fmt: skip
def test_local_imports_are_followed(tmp_path: Path, text: str, copied: list[str]) -> None:
    files = {
        **SHOP,
        "shop/models.py": text,
        "shop/prices.py": "",
        "shop/rates.py": "",
        "shop/deep/__init__.py": "__all__ = ['er', 'NAME']\nNAME = 1\n",
        "shop/deep/er.py": "from ..rates import thing\n",
    }
    code = find(tmp_path, files, "shop.models:Model")
    assert paths(code) == sorted(["shop/__init__.py", "shop/models.py", *copied])


def test_imports_in_a_circle_end(tmp_path: Path) -> None:
    code = find(tmp_path, {"a.py": "import b", "b.py": "import a"}, "a:Model")
    assert paths(code) == ["a.py", "b.py"]


def test_module_next_to_the_model_never_replaces_the_standard_library(tmp_path: Path) -> None:
    code = find(tmp_path, {"shop.py": "import random, distutils", "random.py": RUNS}, "shop:M")
    assert (paths(code), dict(code.requirements)) == (["shop.py"], {})


def test_dynamic_import_is_reported(tmp_path: Path) -> None:
    code = find(tmp_path, {"shop.py": "\nm = __import__(input())\n"}, "shop:M")
    assert "shop.py, line 2, imports a computed name" in code.notes[0]


def test_declared_encoding_of_a_file_is_used(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_bytes("# coding: latin-1\nimport b  # \xfc\n".encode("latin-1"))
    assert paths(find(tmp_path, {"b.py": ""}, "shop:M")) == ["b.py", "shop.py"]


@pytest.mark.parametrize(
    ("text", "python"),
    [("x = 1", None), ("(y := 1)", ">=3.8"), ("match x:\n    case 1: pass", ">=3.10")],
)
def test_syntax_determines_the_oldest_python(tmp_path: Path, text: str, python: str | None) -> None:
    assert find(tmp_path, {"shop.py": text}, "shop:M").python == python


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x = 1\nprint 'x'\n", r"shop\.py, line 2, is not valid in Python"),
        (b"x = '\xff'\n", "encoding"),
        (b"# coding: nonsense\n", "encoding"),
        (b"x = 1\0", "cannot be parsed|is not valid in Python"),
        (b"x = 1  # " + b"-" * 2**20, "larger than"),
        (b"-" * 100_000 + b"1", "cannot be parsed|is not valid in Python"),
        (
            b"import app_\nfrom .. import x\nimport shop.gone",
            "imports shop.gone, which does not exist",
        ),
    ],
)
def test_invalid_source_is_reported(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "shop.py").write_bytes(content)
    with pytest.raises(UsageError, match=message) as problem:
        find(tmp_path, {}, "shop:M")
    assert problem.value.hint


@pytest.mark.parametrize("link", ["shop.py", "shop"])
def test_a_link_out_of_the_folder_is_refused(tmp_path: Path, link: str) -> None:
    outside = write(tmp_path / "outside", {"shop.py": "", "shop/__init__.py": ""})
    inside = write(tmp_path / "inside", {"readme": ""})
    (inside / link).symlink_to(outside / link)
    with pytest.raises(UsageError, match="is a link to a file outside"):
        find_code(spec_naming(inside / "model.pkl", "shop:M"), CodeOptions())


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    write(tmp_path, {"real.py": "x = 1\n"})
    (tmp_path / "shop.py").symlink_to("real.py")
    assert paths(find(tmp_path, {}, "shop:M")) == ["shop.py"]


@pytest.mark.parametrize("name", ["app", "modelpack_main"])
def test_a_name_of_the_service_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is a module of the service"):
        find(tmp_path, {f"{name}.py": ""}, f"{name}:M")


def test_compiled_modules_are_not_copied(tmp_path: Path) -> None:
    files = {"shop/__init__.py": "", "shop/m.py": "from .fast import x", "shop/fast.cp311.so": ""}
    with pytest.raises(UsageError, match=r"shop\.fast, which is compiled") as problem:
        find(tmp_path, files, "shop.m:M")
    assert "wheel" in problem.value.hint


# --- distributions -------------------------------------------------------------------------------


def test_imports_of_others_become_requirements_by_their_real_names(tmp_path: Path) -> None:
    text = "import yaml\nimport sklearn.svm, numpy\ndef f():\n    from google.protobuf import x\n"
    code = find(tmp_path, {"shop.py": text}, "shop:M")
    assert dict(code.requirements) == {"pyyaml": "", "protobuf": ""}
    assert code.reasons["protobuf"].startswith("shop.py, line 4, imports google.protobuf")


def test_installed_distributions_precede_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "venv" / "lib" / "python3.9" / "site-packages"
    write(site, {
        "cv2/__init__.py": "",
        "own_cv-2.0.dist-info/METADATA": "Name: own.CV\nVersion: 2.0\n",
        "own_cv-2.0.dist-info/RECORD": "cv2/__init__.py,,\n",
    })  # fmt: skip
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "venv"))
    distributions._installed.cache_clear()
    try:
        assert distributions.provider("cv2").name == "own-cv"
    finally:
        distributions._installed.cache_clear()


@pytest.mark.parametrize(
    ("module", "name"),
    [("cv2", "opencv-python-headless"), ("PIL", "pillow"), ("sklearn.svm", "scikit-learn"),
     ("bs4", "beautifulsoup4"), ("dateutil", "python-dateutil"), ("Crypto", "pycryptodome"),
     ("attr", "attrs"), ("skimage", "scikit-image"), ("OpenSSL", "pyopenssl")],
)  # fmt: skip
def test_names_that_differ(module: str, name: str) -> None:
    assert distributions.provider(module).name == name


def test_guessed_distribution_is_reported(tmp_path: Path) -> None:
    code = find(tmp_path, {"shop.py": "import own_tools"}, "shop:M")
    assert notices(code)[-1] == (
        "own-tools is required: shop.py, line 1, imports own_tools, guessed by the name alone"
    )


def test_requirement_of_the_user_replaces_a_guess(tmp_path: Path) -> None:
    code = find(
        tmp_path,
        {"shop.py": "import own_tools"},
        "shop:M",
        options=CodeOptions(requirements=("acme-kit",)),
    )
    assert dict(code.requirements) == {}
    assert "assumed to be part of acme-kit" in code.notes[0]


@pytest.mark.parametrize(
    ("text", "required"),
    [
        ("try:\n    import own_tools\nexcept ImportError:\n    own_tools = None", []),
        ("try:\n    import joblib\nexcept ImportError:\n    joblib = None", ["joblib"]),
        ("try:\n    import json\nexcept ImportError:\n    import simplejson as json", []),
        ("try:\n    import own_tools\nexcept ImportError:\n    import yaml", ["pyyaml"]),
        ("try:\n    import own_tools\nexcept Exception:\n    pass", []),
        ("try:\n    import yaml\n    run()\nexcept Exception:\n    pass", ["pyyaml"]),
        ("try:\n    import yaml\nexcept ValueError:\n    pass", ["pyyaml"]),
    ],
)
def test_optional_imports_are_not_required(tmp_path: Path, text: str, required: list[str]) -> None:
    assert sorted(find(tmp_path, {"shop.py": text}, "shop:M").requirements) == required


def test_a_name_in_a_model_file_is_never_guessed(tmp_path: Path) -> None:
    """A stranger could publish a distribution of that name, and it would be installed."""
    code = find(tmp_path, {}, "soft404.predict:f", "cv2:Stitcher")
    assert (dict(code.requirements), code.missing) == ({}, ("cv2", "soft404.predict"))


def test_a_requirement_of_the_user_provides_a_module_of_the_model(tmp_path: Path) -> None:
    options = CodeOptions(requirements=("Soft404",))
    code = find(tmp_path, {"soft404/__init__.py": RUNS}, "soft404:f", options=options)
    assert (paths(code), code.missing, dict(code.requirements)) == ([], (), {})


def test_a_requirement_that_is_something_else_provides_nothing(tmp_path: Path) -> None:
    options = CodeOptions(requirements=("tqdm", "hypothesis"))  # of the table, and installed
    code = find(tmp_path, {"shop.py": "import own_tools"}, "soft404:f", "shop:M", options=options)
    assert (code.missing, dict(code.requirements)) == (("soft404",), {"own-tools": ""})


def test_a_module_of_the_model_that_is_installed_here_is_pinned(tmp_path: Path) -> None:
    code = find(tmp_path, {}, "hypothesis.core:f")
    assert dict(code.requirements) == {"hypothesis": f"=={metadata.version('hypothesis')}"}


def test_a_module_that_is_not_in_the_installed_package_is_missing(tmp_path: Path) -> None:
    code = find(tmp_path, {}, "hypothesis.own_models:f")
    assert (dict(code.requirements), code.missing) == ({}, ("hypothesis.own_models",))


def test_a_project_that_is_installed_from_a_folder_is_no_distribution(tmp_path: Path) -> None:
    """As modelpack itself is here: an index may have a stranger's of the same name."""
    code = find(tmp_path, {}, "modelpack.model:M")
    assert code.missing == ("modelpack.model",)
    assert "modelpack.model is installed here from /" in code.notes[0]


# --- trust ---------------------------------------------------------------------------------------

DEFINES = """
from os import system
class Model:
    class Inner: ...
    def method(self): ...
def function(): ...
alias = system
if True:
    class Later: ...
"""
NAMES = {"Model", "Model.Inner", "function", "system", "alias", "Later", "absent"}


@pytest.mark.parametrize("trusted", [True, False])
def test_code_trusts_what_it_defines(tmp_path: Path, trusted: bool) -> None:
    """Not for what it imports: `shop:system` in a file of a stranger is still `os.system`."""
    keys = [f"shop:{name}" for name in NAMES]
    write(tmp_path, {"mine/shop.py": DEFINES, "mine/b.py": DEFINES})
    for path in ("mine", "mine/shop.py"):
        options = CodeOptions((tmp_path / path,), trusted)
        code = find(tmp_path, {}, *keys, "b:Model", options=options)
        defined = {key.partition(":")[2] for key in code.defined if key.startswith("shop:")}
        assert defined == ({"Model", "Model.Inner", "function", "Later"} if trusted else set())
        assert ("b:Model" in code.defined) == (trusted and path == "mine")


def test_code_next_to_the_model_is_not_trusted(tmp_path: Path) -> None:
    """It may have come with the model."""
    assert find(tmp_path, {"shop.py": DEFINES}, "shop:Model").defined == ()


# --- what a class can do -------------------------------------------------------------------------

CLASSIFIER = """
class Base:
    def predict_proba(self, X):
        return X
"""


@pytest.mark.parametrize(
    ("text", "is_probabilistic"),
    [
        ("class Model:\n    def predict_proba(self, X):\n        return X", True),
        ("class Model:\n    predict_proba = None", True),
        ("class Model(Base):\n    pass", True),
        ("class Model:\n    def predict(self, X):\n        return X", False),
        ("class Model(Model):\n    pass", False),
        ("def Model():\n    def predict_proba():\n        pass", False),
    ],
)
def test_own_classifiers_have_the_probabilities_that_their_code_defines(
    tmp_path: Path, text: str, is_probabilistic: bool
) -> None:
    write(tmp_path, {"shop.py": f"{CLASSIFIER}\n{text}\n"})
    spec = replace(spec_naming(tmp_path / "model.pkl", "shop:Model"), estimator="shop.Model")
    spec = replace(spec, signature=Signature((), (), classes=("no", "yes")))
    code = find_code(spec, CodeOptions())
    assert code.probabilistic == (("shop:Model",) if is_probabilistic else ())
    assert with_code_requirements(spec, code).signature.probabilities is is_probabilistic
    pipeline = replace(
        spec,
        estimator="sklearn.pipeline.Pipeline",
        steps=(Estimator("scaler", "shop.Other"), Estimator("model", "shop.Model")),
    )
    assert with_code_requirements(pipeline, code).signature.probabilities is is_probabilistic
    unknown = replace(spec, signature=Signature((), ()))
    assert not with_code_requirements(unknown, code).signature.probabilities


def test_a_classifier_of_the_training_script_has_probabilities(tmp_path: Path) -> None:
    write(tmp_path, {"train.py": CLASSIFIER})
    spec = spec_naming(tmp_path / "model.pkl", "__main__:Base")
    code = find_code(spec, CodeOptions(paths=(tmp_path / "train.py",)))
    assert code.probabilistic == ("__main__:Base",)
