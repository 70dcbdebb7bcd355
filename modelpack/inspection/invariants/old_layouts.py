"""Estimators of scikit-learn 0.15 to 0.18 that no release from 0.19 on can use.

Files of the earliest releases record no version, so their layout is compared. The lists were found
by loading the estimators of 0.15.2, 0.16.1 and 0.17.1 in 0.19.2, where all others predict the same.
"""

from __future__ import annotations

import re

from ..contracts import class_key
from ..nodes import DictNode, ObjectNode
from .objects import OldLayoutError

_CHANGED = {
    "calibration:_CalibratedClassifier": ("calibrators_", "label_encoder_", "0.18"),
    "covariance.outlier_detection:EllipticEnvelope": ("threshold", "threshold_", "0.16"),
    "cross_decomposition.cca_:CCA": ("coefs", "coef_", "0.16"),
    "cross_decomposition.pls_:PLSCanonical": ("coefs", "coef_", "0.16"),
    "cross_decomposition.pls_:PLSRegression": ("coefs", "coef_", "0.16"),
    "decomposition.kernel_pca:KernelPCA": ("lambdas_", "n_jobs", "0.18"),
    "decomposition.nmf:NMF": ("components_", "beta_loss", "0.19"),
    "dummy:DummyClassifier": ("class_prior_", "sparse_output_", "0.16"),
    "feature_extraction.text:HashingVectorizer": ("non_negative", "alternate_sign", "0.19"),
    "feature_selection.from_model:SelectFromModel": ("threshold", "norm_order", "0.18"),
    "linear_model.coordinate_descent:ElasticNet": ("coef_", "n_iter_", "0.16"),
    "linear_model.coordinate_descent:Lasso": ("coef_", "n_iter_", "0.16"),
    "linear_model.coordinate_descent:MultiTaskElasticNet": ("coef_", "n_iter_", "0.16"),
    "linear_model.coordinate_descent:MultiTaskLasso": ("coef_", "n_iter_", "0.16"),
    "linear_model.logistic:LogisticRegression": ("_enc", "classes_", "0.16"),
    "preprocessing.data:PolynomialFeatures": ("powers_", "n_input_features_", "0.16"),
    "preprocessing.data:StandardScaler": ("std_", "scale_", "0.17"),
    "svm.classes:LinearSVC": ("_enc", "classes_", "0.16"),
    "svm.classes:NuSVC": ("dual_coef_", "_dual_coef_", "0.16"),
    "svm.classes:NuSVR": ("dual_coef_", "_dual_coef_", "0.16"),
    "svm.classes:OneClassSVM": ("dual_coef_", "_dual_coef_", "0.16"),
    "svm.classes:SVC": ("dual_coef_", "_dual_coef_", "0.16"),
    "svm.classes:SVR": ("dual_coef_", "_dual_coef_", "0.16"),
}
"""Class -> an attribute of fitted objects, an attribute that later ones add, the later release."""

_REMOVED = re.compile(
    r"sklearn\.((hmm|lda|qda):\w+|cluster\.bicluster\.spectral:\w+"
    r"|cluster\.hierarchical:Ward(Agglomeration)?|decomposition\.nmf:ProjectedGradientNMF"
    r"|decomposition\.pca:ProbabilisticPCA)",
    re.ASCII,
)
"""Classes that 0.19 has no more."""


def require_usable(node: ObjectNode) -> None:
    """Raise OldLayoutError for an estimator that no served release can load or use."""
    key = class_key(node)
    if not key.startswith("sklearn."):
        return
    if _REMOVED.fullmatch(key):
        raise OldLayoutError("a class that scikit-learn 0.19 and later do not have")
    changed = _CHANGED.get(key.partition(".")[2])
    state = node.states[0] if changed and node.states else None
    if changed and isinstance(state, DictNode):
        fitted, added, release = changed
        if fitted in state.keys and added not in state.keys:
            raise OldLayoutError(
                f"an estimator of scikit-learn before {release}, without {added!a}, which later "
                "releases need"
            )
