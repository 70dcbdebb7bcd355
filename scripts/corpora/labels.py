"""Labels of the test files of projects, from their paths."""

from __future__ import annotations

import re

BENIGN = {
    "picklescan": r"/(benign|int_array|object_array)|pytorch_model\.bin",
    "fickling": r"/squeezenet",
    "modelscan": r"",
    "modelaudit": r"/safe_|/license_scenarios/|/pipeline\.skops",
}
MALICIOUS = {
    "picklescan": r"/(malicious|GHSA-|keyerror-exploit|type-confusion-exploit|io_FileIO"
    r"|logging_FileHandler|types_CodeType|urllib_request_urlopen|dns_exfiltration"
    r"|cloudpickle_codeinjection|pytorch_magic_bypass|sys_module_override)",
    "fickling": r"",
    "modelscan": r"/unsafe_",
    "modelaudit": r"/exploits/|_attack\.|/evil|/malicious_|_malicious_|nested_pickle_"
    r"|/simple_nested|/decode_exec|/dill_func|/path_traversal"
    r"|/(multiple_patterns|obfuscated_metadata|script_injection|shell_commands|suspicious_url)\.",
}

EXPLAINED = {
    "modelaudit": {
        r"/(nested_pickle_\w+|simple_nested|decode_exec_chain|malicious_model_realistic)\.pkl":
            "inert: bytes and strings in a dict, which no opcode of the file loads or calls",
        r"/safe_savedmodel/saved_model\.pb":
            "20 bytes without the schema version with which TensorFlow starts a SavedModel",
    },
}  # fmt: skip
"""Corpus -> pattern of paths -> why modelpack and the project may disagree on these files."""


def explanation(corpus: str, path: str) -> str:
    """Return why the verdict on a file may differ from its label, or ""."""
    reasons = EXPLAINED.get(corpus, {}).items()
    return next((why for pattern, why in reasons if re.search(pattern, f"/{path}")), "")


def label(corpus: str, path: str) -> str:
    """Return "benign", "malicious", or "" for a file without a label.

    A literal of a test has no label: tests write down fragments and benign values as well.
    """
    if ":" in path:
        return ""
    for name, patterns in (("benign", BENIGN), ("malicious", MALICIOUS)):
        if patterns.get(corpus) and re.search(patterns[corpus], f"/{path}"):
            return name
    return ""
