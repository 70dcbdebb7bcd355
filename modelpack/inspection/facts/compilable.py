"""Whether a model may be compiled, by the classes of its estimators.

The classes are those of `COMPILERS` in serving/runtimes/plans, which a test compares. Importing
them would import numpy. `package --compiled` also checks the settings of each estimator.
"""

from __future__ import annotations

from modelpack.types import NO_COMPILED_FORM

from .estimators import EstimatorNode, every

_NAMES = """
ARDRegression AdaBoostClassifier AdaBoostRegressor AffinityPropagation BaggingClassifier
BaggingRegressor BayesianGaussianMixture BayesianRidge BernoulliNB BernoulliRBM Binarizer Birch
BisectingKMeans CCA CalibratedClassifierCV CategoricalNB ClassifierChain ColumnTransformer
ComplementNB CountVectorizer DecisionTreeClassifier DecisionTreeRegressor DictVectorizer
DummyClassifier DummyRegressor ElasticNet ElasticNetCV EllipticEnvelope ExtraTreeClassifier
ExtraTreeRegressor ExtraTreesClassifier ExtraTreesRegressor FactorAnalysis FastICA FeatureUnion
FixedThresholdClassifier FrozenEstimator FunctionTransformer GammaRegressor GaussianMixture
GaussianNB GaussianRandomProjection GenericUnivariateSelect GradientBoostingClassifier
GradientBoostingRegressor GridSearchCV HalvingGridSearchCV HalvingRandomSearchCV HashingVectorizer
HistGradientBoostingClassifier HistGradientBoostingRegressor HuberRegressor IncrementalPCA
IsolationForest IterativeImputer KBinsDiscretizer KMeans KNNImputer KNeighborsClassifier
KNeighborsRegressor KernelRidge Lars LarsCV Lasso LassoCV LassoLars LassoLarsCV LassoLarsIC
LinearDiscriminantAnalysis LinearRegression LinearSVC LinearSVR LocalOutlierFactor
LogisticRegression LogisticRegressionCV MLPClassifier MLPRegressor MaxAbsScaler MeanShift
MinMaxScaler MiniBatchKMeans MissingIndicator MultiOutputClassifier MultiOutputRegressor
MultiTaskElasticNet MultiTaskElasticNetCV MultiTaskLasso MultiTaskLassoCV MultinomialNB
NearestCentroid NeighborhoodComponentsAnalysis Normalizer NuSVC NuSVR Nystroem OneClassSVM
OneHotEncoder OneVsOneClassifier OneVsRestClassifier OrdinalEncoder OrthogonalMatchingPursuit
OrthogonalMatchingPursuitCV OutputCodeClassifier PCA PLSCanonical PLSRegression
PassiveAggressiveClassifier PassiveAggressiveRegressor Perceptron Pipeline PoissonRegressor
PolynomialFeatures PowerTransformer QuadraticDiscriminantAnalysis QuantileRegressor
QuantileTransformer RANSACRegressor RBFSampler RFE RFECV RadiusNeighborsClassifier
RadiusNeighborsRegressor RandomForestClassifier RandomForestRegressor RandomizedSearchCV
RegressorChain Ridge RidgeCV RidgeClassifier RidgeClassifierCV RobustScaler SGDClassifier
SGDOneClassSVM SGDRegressor SVC SVR SelectFdr SelectFpr SelectFromModel SelectFwe SelectKBest
SelectPercentile SelfTrainingClassifier SequentialFeatureSelector SimpleImputer
SparseRandomProjection SplineTransformer StackingClassifier StackingRegressor StandardScaler
TargetEncoder TfidfTransformer TfidfVectorizer TheilSenRegressor TransformedTargetRegressor
TruncatedSVD TunedThresholdClassifierCV TweedieRegressor VarianceThreshold VotingClassifier
VotingRegressor
"""
_BOOSTERS = """
Booster LGBMClassifier LGBMRanker LGBMRegressor XGBClassifier XGBRFClassifier XGBRFRegressor
XGBRanker XGBRegressor
"""
_CLASSES = frozenset((_NAMES + _BOOSTERS).split())
_MEMBERS = {"_ConstantPredictor"}
"""Private classes whose objects are read as a part of another estimator."""

INVERSE = "the inverse of a transformer of the target has no compiled form"

LIBRARIES = ("lightgbm", "xgboost")
"""Libraries of boosters, whose files and estimators have a compiled form."""


def not_compilable(root: EstimatorNode | None) -> str:
    """Return why a model has no compiled form: the first part without one; "" if all have one."""
    if root is None:
        return NO_COMPILED_FORM
    other = next((part for part in every(root) if not _has_form(part)), None)
    return f"{other.cls.dotted} has no compiled form" if other else ""


def _has_form(part: EstimatorNode) -> bool:
    is_known = part.name in _CLASSES or part.name in _MEMBERS
    return (part.is_sklearn or part.top in LIBRARIES) and is_known
