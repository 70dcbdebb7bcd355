"""Attributes that decide which method is called: text that names one, and objects that have it.

All names in a file may be known, and each of its objects legitimate. A method that the file names
by text still does what no model does if the object next to it is of another kind. `TEXTS` and
`MEMBERS` define what such attributes may contain. scripts/make_interpreted.py finds the attributes
in the source of each supported release.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from modelpack.types import Finding

from ..allowlist import contract_name, is_known
from ..contracts import caches, class_key
from ..contracts.kinds import Kind
from ..contracts.numeric import is_template
from ..nodes import DictNode, Node, ObjectNode
from . import members, texts

TEXT, MEMBER = "bad-text", "bad-member"

Rules = Mapping[str, tuple[Callable[[Node], bool], str]]

ANYWHERE: dict[str, tuple[Kind, str]] = {
    "stack_method": (texts.choice, "names of methods that predict"),
    "stack_method_": (texts.methods, "names of methods that predict"),
    "chain_method": (texts.choice, "names of methods that predict"),
    "chain_method_": (texts.method, "the name of a method that predicts"),
    "response_method": (texts.choice, "names of methods that predict"),
    "_response_method": (texts.choice, "names of methods that predict"),
    "importance_getter": (texts.getter, "a path of public attributes"),
    "_parse_arg_template": (is_template, "scipy's own template"),
}
"""Attribute -> what it may hold, and that in words. Also in classes that modelpack does not know:
they may inherit the code that reads it.
"""

TEXTS: dict[str, tuple[Kind, str]] = {
    **ANYWHERE,
    "output_distribution": (texts.distribution, '"normal" or "uniform"'),
    **dict.fromkeys(("tz", "_tz"), (texts.zone_name, "the name of a time zone")),
    "_metadata": (texts.metadata, "names of what pandas keeps next to data"),
    "hash_method": (texts.hash_name, "the name of a hash function"),
    # `NegativeBinomial.__setstate__` compares it: other values would run code of their own there.
    "loglike_method": (texts.likelihood, "the name of a likelihood of statsmodels"),
}
"""The same for known classes: code of another class may use these names otherwise."""

_LISTS = {
    "base_estimator", "base_estimator_", "base_sampler_", "best_estimator_",
    "calibrated_classifiers_", "calibrators", "calibrators_", "categorical_encoder_", "_centerer",
    "_encoder", "encoder_list", "est", "_estimator", "estimator", "estimator_", "estimators_",
    "feature_encoder", "final_estimator", "final_estimator_", "hash_functions_", "indicator_",
    "init_", "initial_imputer_", "kernel_pca_", "lab_encoder_", "_label_binarizer",
    "label_binarizer_", "_label_encoder", "label_encoder", "label_encoder_", "_le", "le_",
    "_name_to_fitted_passthrough", "nbrs_", "nn_", "nn_fit", "ohe_", "one_hot_encoder",
    "one_hot_encoder_",
    "ordinal_encoder", "pipelines_", "_predictors", "_preprocessor", "regressor", "regressor_",
    "remainder", "sampler_", "samplers_", "_scaler", "_tfidf", "transformer", "transformer_",
}  # fmt: skip
_STEPS = {
    "estimators": 1, "steps": 1, "transformer_list": 1, "transformers": 1, "transformers_": 1,
}  # fmt: skip
_OTHERS: dict[str, tuple[Kind, str]] = {
    "_Booster": (members.booster, "a booster"),
    "memory": (caches.memory, "a cache of joblib"),
    **dict.fromkeys(
        ("_base_loss", "_family_instance", "_loss", "loss_"),
        (members.part, "a loss of scikit-learn"),
    ),
    **dict.fromkeys(("_link_instance", "link"), (members.part, "a link of scikit-learn")),
    "_bin_mapper": (members.part, "the bins of scikit-learn"),
    "kernel_": (members.part, "a kernel of scikit-learn"),
    "tree_": (members.part, "a tree of scikit-learn"),
    "imputation_sequence_": (members.triplets, "estimators in the steps of an imputer"),
}
_OF_CACHES = {"memory", "store_backend"}
"""The attributes of known classes that hold caches of joblib, or parts of them."""

MEMBERS = _LISTS | _STEPS.keys() | _OTHERS.keys()
"""Attributes of known classes whose values have their methods called at prediction."""


def check(objects: Iterable[ObjectNode]) -> Iterator[Finding]:
    """Find the attributes that hold what no model has there, once for each class and attribute."""
    told: set[tuple[str, str]] = set()
    rules = _member_rules()
    for made in objects:
        key = class_key(made)
        if contract_name(key) == "distribution":
            continue  # its contract checks all of its state
        texts_here = TEXTS if is_known(key) else ANYWHERE
        members_here = _rules_of(key, rules) if is_known(key) else {}
        for name, value in _attributes(made):
            for code, table in ((TEXT, texts_here), (MEMBER, members_here)):
                fits, needed = table.get(name, (None, ""))
                if fits is not None and (key, name) not in told and not fits(value):
                    told.add((key, name))
                    message = f"{key.replace(':', '.')} holds in {name} what is not {needed}"
                    yield Finding(code, message, made.offset, made.opcode, key or None)
            if caches.is_cache(value) and is_known(key) and name not in _OF_CACHES:
                message = f"{key.replace(':', '.')} holds in {ascii(name)[1:-1]} a cache of joblib"
                yield Finding(MEMBER, message, made.offset, made.opcode, key)


def _rules_of(key: str, rules: Rules) -> Rules:
    return members.RULES if key.startswith("statsmodels.") else rules


def _member_rules() -> Rules:
    sound: set[int] = set()  # containers that many objects may share are looked at once
    lists = partial(members.members, seen=sound)
    return {
        **dict.fromkeys(_LISTS, (lists, "an estimator or several")),
        **{
            name: (partial(members.steps, place), "names with estimators")
            for name, place in _STEPS.items()
        },
        **_OTHERS,
    }


def _attributes(made: ObjectNode) -> Iterator[tuple[str, Node]]:
    """What its states set, in the dict of the object and past it."""
    for state in made.states:
        for part in state if isinstance(state, tuple) and len(state) == 2 else (state,):
            if isinstance(part, DictNode):
                for key, value in zip(part.keys, part.values, strict=True):
                    if type(key) is str:
                        yield key, value
