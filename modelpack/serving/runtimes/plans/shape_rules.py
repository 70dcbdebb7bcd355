"""The shapes of attributes: a table that `shapes.py` reads.

A line that ends with a colon names classes. Each line below is an attribute, its forms separated by
`|`, and the setting that requires it. A path such as `_tree.data` leads through other records, and
`*` through the items of a list. Attributes that are absent are not checked.

- `(m, n)` is an array with these sizes, `()` a number or an array of one; `*` is any size. A form
  with ` t=1` sets a size.
- `[m]` is a list or one-dimensional array of m items, `[m](n,)` a list of such arrays.
- `#c` is an integer that is a size, `{v}` a dict with v keys, `0` the number zero.
- `[m](r.,)` is a list of arrays with sizes r.0, r.1, ...
- Words such as `layers k` are the keys of `shapes.SPECIAL`, whose functions explain them.

The same name is the same size within a record. In all classes n is the number of columns of the
rows, c the number of classes, and k, e and p follow from c: see `shapes.DERIVED`.
"""

from __future__ import annotations

RULES = """
ARDRegression BayesianRidge ElasticNet ElasticNetCV HuberRegressor Lars LarsCV Lasso LassoCV
LassoLars LassoLarsCV LassoLarsIC LinearRegression MultiTaskElasticNet
MultiTaskElasticNetCV MultiTaskLasso MultiTaskLassoCV OrthogonalMatchingPursuit
OrthogonalMatchingPursuitCV QuantileRegressor Ridge RidgeCV
TheilSenRegressor GammaRegressor PoissonRegressor TweedieRegressor:
    coef_ (n,) t=0 | (t, n)
    intercept_ () t=0 | (1,) t=0 | (t,) | 0
LinearSVR PassiveAggressiveRegressor SGDRegressor:
    coef_ (n,)
    intercept_ (1,) | 0
LinearSVC LogisticRegression LogisticRegressionCV PassiveAggressiveClassifier Perceptron
SGDClassifier LinearDiscriminantAnalysis:
    _label_binarizer.classes_ (c,)
    classes_ (c,)
    coef_ (k, n)
    intercept_ (k,) | 0
RidgeClassifier RidgeClassifierCV:
    _label_binarizer.classes_ (c,)
    classes_ (c,)
    coef_ (k, n) | (n,) k=1
    intercept_ (k,) | () k=1 | 0
LinearDiscriminantAnalysis:
    xbar_ (n,)
    scalings_ (n, *)
MLPClassifier:
    _label_binarizer.classes_ (c,)
    coefs_ layers k
    intercepts_ biases k
MLPRegressor:
    n_outputs_ #t
    coefs_ layers t
    intercepts_ biases t
SGDOneClassSVM:
    coef_ (n,)
    offset_ (1,)
StandardScaler:
    mean_ (n,) if with_mean
    scale_ (n,) if with_std
RobustScaler:
    center_ (n,) if with_centering
    scale_ (n,) if with_scaling
MaxAbsScaler:
    scale_ (n,)
MinMaxScaler:
    scale_ (n,)
    min_ (n,)
    feature_range [2]
PolynomialFeatures:
    n_input_features_ #n
PowerTransformer:
    lambdas_ (n,)
    _scaler.mean_ (n,)
    _scaler.scale_ (n,)
QuantileTransformer:
    references_ (q,)
    quantiles_ (q, n)
KBinsDiscretizer:
    n_bins_ bins n
    bin_edges_ [n](b.,)
SplineTransformer:
    bsplines_ [n]
    bsplines_.*.c (q, w)
    bsplines_.*._c (q, w)
SimpleImputer:
    statistics_ (n,)
KNNImputer:
    _fit_X (m, n)
    _mask_fit_X (m, n)
MissingIndicator:
    _n_features #n
    features_ (*,)
IterativeImputer:
    n_iter_ #i
    imputation_sequence_ times i
    initial_imputer_.statistics_ (n,)
    _min_value (n,)
    _max_value (n,)
    min_value_ (n,)
    max_value_ (n,)
_ImputerTriplet:
    neighbor_feat_idx (q,)
    estimator.coef_ (q,)
OneHotEncoder OrdinalEncoder:
    categories_ [n](*,)
    drop_idx_ (n,) | null
    _drop_idx_after_grouping (n,) | null
    _infrequent_indices [n]
    _default_to_infrequent_mappings [n]
TargetEncoder:
    categories_ [n](v.,)
    target_mean_ () t=1 | (t,)
    encodings_ encodings v
GenericUnivariateSelect SelectFdr SelectFpr SelectFwe SelectKBest SelectPercentile:
    scores_ (n,)
    pvalues_ (n,)
RFE RFECV SequentialFeatureSelector:
    support_ (n,)
SelectFromModel:
    estimator_.coef_ (n,) | (*, n)
VarianceThreshold:
    variances_ (n,)
IncrementalPCA PCA:
    components_ (m, n)
    mean_ (n,)
    explained_variance_ (m,) if whiten
FactorAnalysis:
    components_ (m, n)
    mean_ (n,)
    noise_variance_ (n,)
FastICA:
    components_ (m, n)
    mean_ (n,) if whiten
NeighborhoodComponentsAnalysis GaussianRandomProjection TruncatedSVD:
    components_ (m, n)
CCA PLSCanonical PLSRegression:
    _x_mean (n,)
    x_mean_ (n,)
    _x_std (n,)
    x_std_ (n,)
    x_rotations_ (n, *)
    _y_mean (t,)
    y_mean_ (t,)
    intercept_ (t,)
    coef_ (t, n) | (n, t)
    _coef_ (t, n) | (n, t)
BernoulliRBM:
    components_ (m, n)
    intercept_hidden_ (m,)
Nystroem:
    components_ (m, n)
    normalization_ (m, m)
RBFSampler:
    n_components #m
    random_weights_ (n, m)
    random_offset_ (m,)
KernelRidge:
    X_fit_ (m, n)
    dual_coef_ (m,) | (m, *)
AffinityPropagation KMeans MeanShift MiniBatchKMeans:
    cluster_centers_ (m, n)
Birch:
    subcluster_centers_ (m, n)
    subcluster_labels_ (m,)
BisectingKMeans:
    cluster_centers_ (m, n)
    _X_mean (n,)
    _bisecting_tree.center (n,) | null
_BisectingTree:
    center (n,) | null
    left.center (n,)
    right.center (n,)
BayesianGaussianMixture GaussianMixture:
    means_ (m, n)
    weights_ (m,)
    precisions_cholesky_ (m, n, n) if covariance_type=full
    precisions_cholesky_ (n, n) if covariance_type=tied
    precisions_cholesky_ (m, n) if covariance_type=diag
    precisions_cholesky_ (m,) if covariance_type=spherical
    mean_precision_ (m,)
    degrees_of_freedom_ () if covariance_type=tied
    degrees_of_freedom_ (m,) if covariance_type=full
    degrees_of_freedom_ (m,) if covariance_type=diag
    degrees_of_freedom_ (m,) if covariance_type=spherical
    weight_concentration_ [2](m,) if weight_concentration_prior_type=dirichlet_process
    weight_concentration_ (m,) if weight_concentration_prior_type=dirichlet_distribution
QuadraticDiscriminantAnalysis:
    classes_ (c,)
    means_ (c, n)
    priors_ (c,)
    rotations_ [c](n, r.)
    scalings_ [c](r.,)
GaussianNB:
    classes_ (c,)
    class_prior_ (c,)
    theta_ (c, n)
    sigma_ (c, n)
    var_ (c, n)
BernoulliNB ComplementNB MultinomialNB:
    classes_ (c,)
    class_log_prior_ (c,)
    feature_log_prob_ (c, n)
CategoricalNB:
    classes_ (c,)
    class_log_prior_ (c,)
    feature_log_prob_ [n](c, *)
DummyClassifier:
    classes_ (c,)
    class_prior_ (c,)
DummyRegressor:
    constant_ (1, 1) | (1,)
NuSVC SVC:
    classes_ (c,)
    support_vectors_ (s, n)
    _dual_coef_ (e, s)
    _intercept_ (p,)
    _n_support (c,)
    n_support_ (c,)
    probA_ (p,) if probability=True
    _probA (p,) if probability=True
    probB_ (p,) if probability=True
    _probB (p,) if probability=True
NuSVR OneClassSVM SVR:
    support_vectors_ (s, n)
    _dual_coef_ (1, s)
    _intercept_ (1,)
KNeighborsClassifier RadiusNeighborsClassifier:
    classes_ (c,)
    _fit_X (m, n)
    _y (m,)
    _tree.data (m, n)
KNeighborsRegressor RadiusNeighborsRegressor:
    _fit_X (m, n)
    _y (m,) | (m, *)
    _tree.data (m, n)
LocalOutlierFactor:
    n_neighbors_ #q
    _fit_X (m, n)
    _distances_fit_X_ (m, q)
    _lrd (m,)
    _tree.data (m, n)
KDTree:
    data (m, n)
    idx_array (m,)
    node_data (q,)
    node_bounds (2, q, n)
BallTree:
    data (m, n)
    idx_array (m,)
    node_data (q,)
    node_bounds (1, q, n)
NearestCentroid:
    classes_ (c,)
    centroids_ (c, n)
    class_prior_ (c,)
    within_class_std_dev_ (n,)
EllipticEnvelope:
    location_ (n,)
    precision_ (n, n)
    offset_ ()
DecisionTreeClassifier ExtraTreeClassifier:
    classes_ (c,)
    n_classes_ #c
    n_features_ #n
    tree_.n_features #n
    tree_.nodes (m,)
    tree_.values (m, 1, c)
DecisionTreeRegressor ExtraTreeRegressor:
    n_features_ #n
    n_outputs_ #o
    tree_.n_features #n
    tree_.nodes (m,)
    tree_.values (m, o, 1)
Tree:
    nodes (m,)
    values (m, *, *)
TreePredictor:
    nodes (*,)
ExtraTreesClassifier RandomForestClassifier:
    classes_ (c,)
    estimators_.*.tree_.n_features #n
    estimators_.*.tree_.values (*, 1, c)
ExtraTreesRegressor RandomForestRegressor:
    n_outputs_ #o
    estimators_.*.tree_.n_features #n
    estimators_.*.tree_.values (*, o, 1)
GradientBoostingClassifier:
    classes_ (c,)
    estimators_ (*, k)
    estimators_.*.tree_.n_features #n
    estimators_.*.tree_.values (*, 1, 1)
    init_.class_prior_ (c,)
GradientBoostingRegressor:
    estimators_ (*, 1)
    estimators_.*.tree_.n_features #n
    estimators_.*.tree_.values (*, 1, 1)
HistGradientBoostingClassifier:
    classes_ (c,)
    _predictors.* [k]
    _baseline_prediction () k=1 | (1, k) | (k, 1)
    _bin_mapper.is_categorical_ (n,)
    is_categorical_ (n,) | null
HistGradientBoostingRegressor:
    _predictors.* [1]
    _baseline_prediction () | (1, 1)
    _bin_mapper.is_categorical_ (n,)
    is_categorical_ (n,) | null
AdaBoostClassifier:
    classes_ (c,)
    n_classes_ #c
    estimators_ [m]
    estimator_weights_ padded m
    estimators_.*.classes_ (c,)
AdaBoostRegressor:
    estimators_ [m]
    estimator_weights_ padded m
BaggingClassifier:
    classes_ (c,)
    n_classes_ #c
    n_estimators #m
    estimators_ [m]
    estimators_features_ [m](w,)
    estimators_.*.classes_ (c,)
BaggingRegressor IsolationForest:
    estimators_ [m]
    estimators_features_ [m](w,)
StackingClassifier:
    classes_ (c,)
    _label_encoder.classes_ (c,)
    _le.classes_ (c,)
    estimators_.*.classes_ (c,)
    final_estimator_.classes_ (c,)
StackingClassifier StackingRegressor:
    estimators_ [m]
    stack_method_ given m
VotingClassifier:
    le_.classes_ (c,)
    estimators_.*.classes_ (c,)
VotingClassifier VotingRegressor:
    estimators_ [m]
    estimators [w]
    weights [w] | null
CalibratedClassifierCV:
    classes_ (c,)
_SigmoidCalibration:
    a_ ()
    b_ ()
IsotonicRegression:
    X_thresholds_ (q,)
    y_thresholds_ (q,)
    _necessary_X_ (q,)
    _necessary_y_ (q,)
    X_min_ ()
    X_max_ ()
OneVsRestClassifier:
    label_binarizer_.classes_ (c,)
    classes_ (c,)
    estimators_ [k]
OneVsOneClassifier:
    classes_ (c,)
    estimators_ [p]
OutputCodeClassifier:
    classes_ (c,)
    code_book_ (c, m)
    estimators_ [m]
ClassifierChain RegressorChain:
    estimators_ [m]
    order_ [m]
_ConstantPredictor:
    y_ (1,)
TransformedTargetRegressor:
    transformer_.mean_ (1,)
    transformer_.scale_ (1,)
LabelBinarizer LabelEncoder:
    classes_ (c,)
ColumnTransformer:
    feature_names_in_ (w,)
    _df_columns (w,)
BSpline:
    k #degree
    c (q, *)
    _c (q, *)
    t knots q
    _t knots q
TfidfTransformer:
    idf_ (n,)
    _idf_diag.data (n,)
TfidfVectorizer:
    vocabulary_ {v}
    _tfidf.idf_ (v,)
    _tfidf._idf_diag.data (v,)
csr_matrix:
    data (z,)
    indices (z,)
    indptr ends z
Booster:
    nodes (q,)
    tree_starts (s,)
    tree_starts ends q
    categories (z,)
    set_starts (*,)
    set_starts ends z
    n_outputs #o
    base_scores (o,) | (1,)
    tree_outputs (i,)
    tree_weights (i,) if booster=dart
    tree_weights (0,) if booster=gbtree
    weights (*,)
"""
