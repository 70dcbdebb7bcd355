"""Attributes that select the method to call: a text with its name, or the object that has it.

Libraries look up methods by a text in the file, and call methods of objects in the file. Even if
all classes are known, a wrong text or an object of another kind makes them call a method that no
model calls. `TEXTS` and `MEMBERS` define the allowed values. scripts/make_interpreted.py finds
these attributes in the source of each supported release.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from modelpack.types import Finding

from ..allowlist import contract_name, is_known
from ..contracts import caches, class_key
from ..contracts.kinds import Kind
from ..contracts.numeric import is_template
from ..nodes import Node, ObjectNode, state_attributes
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
"""Attribute -> the kind of its value, and its description. Also checked in unknown classes, which
may inherit the code that reads it.
"""

TEXTS: dict[str, tuple[Kind, str]] = {
    **ANYWHERE,
    "output_distribution": (texts.distribution, '"normal" or "uniform"'),
    **dict.fromkeys(("tz", "_tz"), (texts.zone_name, "the name of a time zone")),
    "_metadata": (texts.metadata, "names of attributes that pandas copies"),
    "hash_method": (texts.hash_name, "the name of a hash function"),
    # `NegativeBinomial.__setstate__` compares it, and would call `__eq__` of any other object.
    "loglike_method": (texts.likelihood, "the name of a likelihood of statsmodels"),
}
"""The same for known classes only: unknown classes may use these names for other values."""

_ESTIMATORS = {
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
_CACHE_ATTRIBUTES = {"memory", "store_backend"}
"""Attributes of known classes that may contain joblib caches, or parts of them."""

MEMBERS = _ESTIMATORS | _STEPS.keys() | _OTHERS.keys()
"""Attributes of known classes whose methods are called at prediction."""


def check(objects: Iterable[ObjectNode]) -> Iterator[Finding]:
    """Yield a finding for each class and attribute with a value that no model has there."""
    reported: set[tuple[str, str]] = set()
    rules = _member_rules()
    for node in objects:
        key = class_key(node)
        if contract_name(key) == "distribution":
            continue  # its contract checks the complete state
        text_rules = TEXTS if is_known(key) else ANYWHERE
        member_rules = _rules_for_class(key, rules) if is_known(key) else {}
        for name, value in state_attributes(node):
            for code, table in ((TEXT, text_rules), (MEMBER, member_rules)):
                fits, needed = table.get(name, (None, ""))
                if fits is not None and (key, name) not in reported and not fits(value):
                    reported.add((key, name))
                    message = f"{name} of {key.replace(':', '.')} does not contain {needed}"
                    yield Finding(code, message, node.offset, node.opcode, key or None)
            if caches.is_cache(value) and is_known(key) and name not in _CACHE_ATTRIBUTES:
                message = f"{ascii(name)[1:-1]} of {key.replace(':', '.')} contains a joblib cache"
                yield Finding(MEMBER, message, node.offset, node.opcode, key)


def _rules_for_class(key: str, rules: Rules) -> Rules:
    return members.RULES if key.startswith("statsmodels.") else rules


def _member_rules() -> Rules:
    sound: set[int] = set()  # ids of valid containers, which many objects may share
    lists = partial(members.members, seen=sound)
    return {
        **dict.fromkeys(_ESTIMATORS, (lists, "an estimator or several")),
        **{
            name: (partial(members.steps, position), "names with estimators")
            for name, position in _STEPS.items()
        },
        **_OTHERS,
    }
