"""The meaning of each constructor parameter of the planned classes for a plan.

A class of scikit-learn gets no plan if it has a parameter that is not in this table: a release may
have added one that changes predictions. `scripts/make_settings.py --parameters` compares the table
with the constructors, and with the methods that predict, of all supported releases.
"""

from __future__ import annotations

from typing import Any

USED = "used"
"""The compiler or a method that a plan calls reads it, or the compiler rejects its value."""
FIT = "fit"
"""Only `fit` reads it; its effect is in the fitted attributes."""

IDLE = {
    "C": "libsvm gets it with each call and reads it only in training",
    "accept_sparse": "the estimator predicts sparse rows that depend on it",
    "batch_size": "it bounds the memory of one step, and the estimator decides close labels",
    "cache_size": "libsvm gets it with each call and reads it only in training",
    "copy": "a plan never writes into its rows",
    "decode_error": "it affects bytes, and a plan accepts only str",
    "encoding": "it affects bytes, and a plan accepts only str",
    "epsilon": "libsvm gets it with each call and reads it only in training",
    "feature_names_out": "it affects the names of columns, not their values",
    "flatten_transform": "it affects `transform`, which has no plan",
    "hidden_layer_sizes": "the fitted weights have these sizes",
    "ignore_implicit_zeros": "it affects sparse rows, which have no plan here",
    "max_bins": "only training bins values",
    "n_jobs": "it spreads the work and changes no result",
    "normalize": "predict reads it only to return deviations",
    "nu": "libsvm gets it with each call and reads it only in training",
    "shrinking": "libsvm gets it with each call and reads it only in training",
    "sort": "the method that predicts and fits reads it only to fit",
    "threshold_lambda": "predict reads it only to return deviations",
    "tol": "libsvm gets it with each call and reads it only in training",
    "verbose": "it only prints",
    "verbose_feature_names_out": "it affects the names of columns, not their values",
}
"""Parameters that prediction reads -> why they change no value."""


def unknown_parameter(estimator: Any) -> str | None:
    """Return the first constructor parameter of an estimator that is not in the table, or None."""
    kind = type(estimator)
    unknown = set(kind._get_param_names()) - PARAMETERS[kind.__name__].keys()
    return min(unknown, default=None)


def _table(text: str) -> dict[str, dict[str, str]]:
    """Parse the table: class -> parameter -> USED, FIT or why it is idle."""
    table: dict[str, dict[str, str]] = {}
    for word in text.split():
        if word.endswith(":"):
            parameters = table[word[:-1]] = {}
        elif word[0] in "+~":
            parameters[word[1:]] = USED if word[0] == "+" else IDLE[word[1:]]
        else:
            parameters[word] = FIT
    return table


PARAMETERS = _table(
    # The class, then its parameters: + used, ~ idle, the others only for fit.
    """
    ARDRegression: ~normalize ~threshold_lambda alpha_1 alpha_2 compute_score copy_X
        fit_intercept lambda_1 lambda_2 max_iter n_iter tol verbose
    AdaBoostClassifier: +algorithm +base_estimator +estimator learning_rate n_estimators
        random_state
    AdaBoostRegressor: +base_estimator +estimator learning_rate loss n_estimators random_state
    AffinityPropagation: affinity convergence_iter copy damping max_iter preference
        random_state verbose
    BaggingClassifier: +base_estimator +estimator +n_estimators ~n_jobs ~verbose bootstrap
        bootstrap_features max_features max_samples oob_score random_state warm_start
    BaggingRegressor: +estimator +n_estimators ~n_jobs ~verbose base_estimator bootstrap
        bootstrap_features max_features max_samples oob_score random_state warm_start
    BayesianGaussianMixture: +covariance_type +weight_concentration_prior_type
        covariance_prior degrees_of_freedom_prior init_params max_iter mean_precision_prior
        mean_prior n_components n_init random_state reg_covar tol verbose verbose_interval
        warm_start weight_concentration_prior
    BayesianRidge: ~normalize alpha_1 alpha_2 alpha_init compute_score copy_X fit_intercept
        lambda_1 lambda_2 lambda_init max_iter n_iter tol verbose
    BernoulliNB: +binarize alpha class_prior fit_prior force_alpha
    BernoulliRBM: +random_state batch_size learning_rate n_components n_iter verbose
    Binarizer: +threshold ~copy
    Birch: branching_factor compute_labels copy n_clusters threshold
    BisectingKMeans: algorithm bisecting_strategy copy_x init max_iter n_clusters n_init
        random_state tol verbose
    CCA: copy max_iter n_components scale tol
    CalibratedClassifierCV: base_estimator cv ensemble estimator method n_jobs
    CategoricalNB: alpha class_prior fit_prior force_alpha min_categories
    ClassifierChain: +base_estimator chain_method cv estimator order random_state verbose
    ColumnTransformer: +remainder +sparse_threshold +transformer_weights +transformers ~n_jobs
        ~verbose ~verbose_feature_names_out force_int_remainder_cols
    ComplementNB: alpha class_prior fit_prior force_alpha norm
    CountVectorizer: +analyzer +binary +dtype +input +lowercase +ngram_range +preprocessor
        +stop_words +strip_accents +token_pattern +tokenizer +vocabulary ~decode_error
        ~encoding max_df max_features min_df
    DecisionTreeClassifier: +criterion +monotonic_cst +splitter ccp_alpha class_weight
        max_depth max_features max_leaf_nodes min_impurity_decrease min_impurity_split
        min_samples_leaf min_samples_split min_weight_fraction_leaf presort random_state
    DecisionTreeRegressor: +criterion +monotonic_cst +splitter ccp_alpha max_depth
        max_features max_leaf_nodes min_impurity_decrease min_impurity_split min_samples_leaf
        min_samples_split min_weight_fraction_leaf presort random_state
    DictVectorizer: +dtype +separator +sparse ~sort
    DummyClassifier: +constant +random_state +strategy
    DummyRegressor: constant quantile strategy
    ElasticNet: alpha copy_X fit_intercept l1_ratio max_iter normalize positive precompute
        random_state selection tol warm_start
    ElasticNetCV: alphas copy_X cv eps fit_intercept l1_ratio max_iter n_alphas n_jobs
        normalize positive precompute random_state selection tol verbose
    EllipticEnvelope: +store_precision assume_centered contamination random_state
        support_fraction
    ExtraTreeClassifier: +criterion +monotonic_cst +splitter ccp_alpha class_weight max_depth
        max_features max_leaf_nodes min_impurity_decrease min_impurity_split min_samples_leaf
        min_samples_split min_weight_fraction_leaf random_state
    ExtraTreeRegressor: +criterion +monotonic_cst +splitter ccp_alpha max_depth max_features
        max_leaf_nodes min_impurity_decrease min_impurity_split min_samples_leaf
        min_samples_split min_weight_fraction_leaf random_state
    ExtraTreesClassifier: +n_estimators ~n_jobs ~verbose bootstrap ccp_alpha class_weight
        criterion max_depth max_features max_leaf_nodes max_samples min_impurity_decrease
        min_impurity_split min_samples_leaf min_samples_split min_weight_fraction_leaf
        monotonic_cst oob_score random_state warm_start
    ExtraTreesRegressor: +n_estimators ~n_jobs ~verbose bootstrap ccp_alpha criterion
        max_depth max_features max_leaf_nodes max_samples min_impurity_decrease
        min_impurity_split min_samples_leaf min_samples_split min_weight_fraction_leaf
        monotonic_cst oob_score random_state warm_start
    FactorAnalysis: +n_components copy iterated_power max_iter noise_variance_init
        random_state rotation svd_method tol
    FastICA: +whiten algorithm fun fun_args max_iter n_components random_state tol w_init
        whiten_solver
    FeatureUnion: +transformer_list +transformer_weights ~n_jobs verbose
        verbose_feature_names_out
    FixedThresholdClassifier: +estimator +pos_label +response_method +threshold
    FrozenEstimator: +estimator
    FunctionTransformer: +func +inv_kw_args +inverse_func +kw_args +pass_y +validate
        ~accept_sparse ~feature_names_out check_inverse
    GammaRegressor: alpha fit_intercept max_iter solver tol verbose warm_start
    GaussianMixture: +covariance_type init_params max_iter means_init n_components n_init
        precisions_init random_state reg_covar tol verbose verbose_interval warm_start
        weights_init
    GaussianNB: priors var_smoothing
    GaussianRandomProjection: compute_inverse_components eps n_components random_state
    GenericUnivariateSelect: +mode +param +score_func
    GradientBoostingClassifier: +init +learning_rate +loss ccp_alpha criterion max_depth
        max_features max_leaf_nodes min_impurity_decrease min_impurity_split min_samples_leaf
        min_samples_split min_weight_fraction_leaf n_estimators n_iter_no_change presort
        random_state subsample tol validation_fraction verbose warm_start
    GradientBoostingRegressor: +init +learning_rate alpha ccp_alpha criterion loss max_depth
        max_features max_leaf_nodes min_impurity_decrease min_impurity_split min_samples_leaf
        min_samples_split min_weight_fraction_leaf n_estimators n_iter_no_change presort
        random_state subsample tol validation_fraction verbose warm_start
    GridSearchCV: +estimator +refit cv error_score fit_params iid n_jobs param_grid
        pre_dispatch return_train_score scoring verbose
    HalvingGridSearchCV: +estimator +refit aggressive_elimination cv error_score factor
        max_resources min_resources n_jobs param_grid random_state resource return_train_score
        scoring verbose
    HalvingRandomSearchCV: +estimator +refit aggressive_elimination cv error_score factor
        max_resources min_resources n_candidates n_jobs param_distributions random_state
        resource return_train_score scoring verbose
    HashingVectorizer: +alternate_sign +analyzer +binary +dtype +input +lowercase +n_features
        +ngram_range +non_negative +norm +preprocessor +stop_words +strip_accents
        +token_pattern +tokenizer ~decode_error ~encoding
    HistGradientBoostingClassifier: +categorical_features ~max_bins class_weight
        early_stopping interaction_cst l2_regularization learning_rate loss max_depth
        max_features max_iter max_leaf_nodes min_samples_leaf monotonic_cst n_iter_no_change
        random_state scoring tol validation_fraction verbose warm_start
    HistGradientBoostingRegressor: +categorical_features ~max_bins early_stopping
        interaction_cst l2_regularization learning_rate loss max_depth max_features max_iter
        max_leaf_nodes min_samples_leaf monotonic_cst n_iter_no_change quantile random_state
        scoring tol validation_fraction verbose warm_start
    HuberRegressor: alpha epsilon fit_intercept max_iter tol warm_start
    IncrementalPCA: +n_components +whiten batch_size copy
    IsolationForest: +behaviour +n_estimators ~verbose bootstrap contamination max_features
        max_samples n_jobs random_state warm_start
    IterativeImputer: +add_indicator +estimator +fill_value +initial_strategy
        +keep_empty_features +missing_values +sample_posterior ~verbose imputation_order
        max_iter max_value min_value n_nearest_features random_state skip_complete tol
    KBinsDiscretizer: +dtype +encode n_bins quantile_method random_state strategy subsample
    KMeans: algorithm copy_x init max_iter n_clusters n_init n_jobs precompute_distances
        random_state tol verbose
    KNNImputer: +keep_empty_features +metric +missing_values +n_neighbors +weights ~copy
        add_indicator
    KNeighborsClassifier: +metric +metric_params +n_neighbors +p +weights ~n_jobs algorithm
        leaf_size
    KNeighborsRegressor: +metric +n_neighbors +weights ~n_jobs algorithm leaf_size
        metric_params p
    KernelRidge: +coef0 +degree +gamma +kernel +kernel_params alpha
    Lars: copy_X eps fit_intercept fit_path jitter n_nonzero_coefs normalize positive
        precompute random_state verbose
    LarsCV: copy_X cv eps fit_intercept max_iter max_n_alphas n_jobs normalize positive
        precompute verbose
    Lasso: alpha copy_X fit_intercept max_iter normalize positive precompute random_state
        selection tol warm_start
    LassoCV: alphas copy_X cv eps fit_intercept max_iter n_alphas n_jobs normalize positive
        precompute random_state selection tol verbose
    LassoLars: alpha copy_X eps fit_intercept fit_path jitter max_iter normalize positive
        precompute random_state verbose
    LassoLarsCV: copy_X cv eps fit_intercept max_iter max_n_alphas n_jobs normalize positive
        precompute verbose
    LassoLarsIC: copy_X criterion eps fit_intercept max_iter noise_variance normalize positive
        precompute verbose
    LinearDiscriminantAnalysis: +solver covariance_estimator n_components priors shrinkage
        store_covariance tol
    LinearRegression: copy_X fit_intercept n_jobs normalize positive tol
    LinearSVC: C class_weight dual fit_intercept intercept_scaling loss max_iter multi_class
        penalty random_state tol verbose
    LinearSVR: C dual epsilon fit_intercept intercept_scaling loss max_iter random_state tol
        verbose
    LocalOutlierFactor: +metric +n_neighbors +novelty ~n_jobs algorithm contamination
        leaf_size metric_params p
    LogisticRegression: +multi_class +solver C class_weight dual fit_intercept
        intercept_scaling l1_ratio max_iter n_jobs penalty random_state tol verbose warm_start
    LogisticRegressionCV: +multi_class +solver Cs class_weight cv dual fit_intercept
        intercept_scaling l1_ratios max_iter n_jobs penalty random_state refit scoring tol
        use_legacy_attributes verbose
    MLPClassifier: +activation ~hidden_layer_sizes alpha batch_size beta_1 beta_2
        early_stopping epsilon learning_rate learning_rate_init max_fun max_iter momentum
        n_iter_no_change nesterovs_momentum power_t random_state shuffle solver tol
        validation_fraction verbose warm_start
    MLPRegressor: +activation ~hidden_layer_sizes alpha batch_size beta_1 beta_2
        early_stopping epsilon learning_rate learning_rate_init loss max_fun max_iter momentum
        n_iter_no_change nesterovs_momentum power_t random_state shuffle solver tol
        validation_fraction verbose warm_start
    MaxAbsScaler: +clip ~copy
    MeanShift: bandwidth bin_seeding cluster_all max_iter min_bin_freq n_jobs seeds
    MinMaxScaler: +clip +feature_range ~copy
    MiniBatchKMeans: ~batch_size ~verbose compute_labels init init_size max_iter
        max_no_improvement n_clusters n_init random_state reassignment_ratio tol
    MissingIndicator: +error_on_new +features +missing_values +sparse
    MultiOutputClassifier: +estimator ~n_jobs
    MultiOutputRegressor: +estimator ~n_jobs
    MultiTaskElasticNet: alpha copy_X fit_intercept l1_ratio max_iter normalize random_state
        selection tol warm_start
    MultiTaskElasticNetCV: alphas copy_X cv eps fit_intercept l1_ratio max_iter n_alphas
        n_jobs normalize random_state selection tol verbose
    MultiTaskLasso: alpha copy_X fit_intercept max_iter normalize random_state selection tol
        warm_start
    MultiTaskLassoCV: alphas copy_X cv eps fit_intercept max_iter n_alphas n_jobs normalize
        random_state selection tol verbose
    MultinomialNB: alpha class_prior fit_prior force_alpha
    NearestCentroid: +metric priors shrink_threshold
    NeighborhoodComponentsAnalysis: callback init max_iter n_components random_state tol
        verbose warm_start
    Normalizer: +norm ~copy
    NuSVC: +break_ties +coef0 +decision_function_shape +degree +gamma +kernel +probability
        ~cache_size ~nu ~shrinking ~tol class_weight max_iter random_state verbose
    NuSVR: +coef0 +degree +gamma +kernel ~C ~cache_size ~nu ~shrinking ~tol max_iter verbose
    Nystroem: +coef0 +degree +gamma +kernel +kernel_params ~n_jobs n_components random_state
    OneClassSVM: +coef0 +degree +gamma +kernel ~cache_size ~nu ~shrinking ~tol max_iter
        random_state verbose
    OneHotEncoder: +categorical_features +drop +dtype +handle_unknown +n_values +sparse
        +sparse_output categories feature_name_combiner max_categories min_frequency
    OneVsOneClassifier: +estimator n_jobs
    OneVsRestClassifier: +estimator n_jobs verbose
    OrdinalEncoder: +dtype +encoded_missing_value +handle_unknown +unknown_value categories
        max_categories min_frequency
    OrthogonalMatchingPursuit: fit_intercept n_nonzero_coefs normalize precompute tol
    OrthogonalMatchingPursuitCV: copy cv fit_intercept max_iter n_jobs normalize verbose
    OutputCodeClassifier: code_size estimator n_jobs random_state
    PCA: +whiten copy iterated_power n_components n_oversamples power_iteration_normalizer
        random_state svd_solver tol
    PLSCanonical: algorithm copy max_iter n_components scale tol
    PLSRegression: copy max_iter n_components scale tol
    PassiveAggressiveClassifier: C average class_weight early_stopping fit_intercept loss
        max_iter n_iter n_iter_no_change n_jobs random_state shuffle tol validation_fraction
        verbose warm_start
    PassiveAggressiveRegressor: C average early_stopping epsilon fit_intercept loss max_iter
        n_iter n_iter_no_change random_state shuffle tol validation_fraction verbose
        warm_start
    Perceptron: alpha class_weight early_stopping eta0 fit_intercept l1_ratio max_iter n_iter
        n_iter_no_change n_jobs penalty random_state shuffle tol validation_fraction verbose
        warm_start
    Pipeline: +steps memory transform_input verbose
    PoissonRegressor: alpha fit_intercept max_iter solver tol verbose warm_start
    PolynomialFeatures: +degree +include_bias +interaction_only +order
    PowerTransformer: +method +standardize ~copy
    QuadraticDiscriminantAnalysis: covariance_estimator priors reg_param shrinkage +solver
        store_covariance store_covariances tol
    QuantileRegressor: alpha fit_intercept quantile solver solver_options
    QuantileTransformer: +output_distribution ~copy ~ignore_implicit_zeros n_quantiles
        random_state subsample
    RANSACRegressor: +estimator base_estimator is_data_valid is_model_valid loss max_skips
        max_trials min_samples random_state residual_threshold stop_n_inliers stop_probability
        stop_score
    RBFSampler: +n_components gamma random_state
    RFE: +estimator importance_getter n_features_to_select step verbose
    RFECV: +estimator cv importance_getter min_features_to_select n_jobs scoring step verbose
    RadiusNeighborsClassifier: +metric +metric_params +outlier_label +p +radius +weights
        ~n_jobs algorithm leaf_size
    RadiusNeighborsRegressor: +metric +radius +weights ~n_jobs algorithm leaf_size
        metric_params p
    RandomForestClassifier: +n_estimators ~n_jobs ~verbose bootstrap ccp_alpha class_weight
        criterion max_depth max_features max_leaf_nodes max_samples min_impurity_decrease
        min_impurity_split min_samples_leaf min_samples_split min_weight_fraction_leaf
        monotonic_cst oob_score random_state warm_start
    RandomForestRegressor: +n_estimators ~n_jobs ~verbose bootstrap ccp_alpha criterion
        max_depth max_features max_leaf_nodes max_samples min_impurity_decrease
        min_impurity_split min_samples_leaf min_samples_split min_weight_fraction_leaf
        monotonic_cst oob_score random_state warm_start
    RandomizedSearchCV: +estimator +refit cv error_score fit_params iid n_iter n_jobs
        param_distributions pre_dispatch random_state return_train_score scoring verbose
    RegressorChain: base_estimator cv estimator order random_state verbose
    Ridge: alpha copy_X fit_intercept max_iter normalize positive random_state solver tol
    RidgeCV: alpha_per_target alphas cv fit_intercept gcv_mode normalize scoring
        store_cv_results store_cv_values
    RidgeClassifier: alpha class_weight copy_X fit_intercept max_iter normalize positive
        random_state solver tol
    RidgeClassifierCV: alphas class_weight cv fit_intercept normalize scoring store_cv_results
        store_cv_values
    RobustScaler: +with_centering +with_scaling ~copy quantile_range unit_variance
    SGDClassifier: +loss alpha average class_weight early_stopping epsilon eta0 fit_intercept
        l1_ratio learning_rate max_iter n_iter n_iter_no_change n_jobs penalty power_t
        random_state shuffle tol validation_fraction verbose warm_start
    SGDOneClassSVM: average eta0 fit_intercept learning_rate max_iter nu power_t random_state
        shuffle tol verbose warm_start
    SGDRegressor: alpha average early_stopping epsilon eta0 fit_intercept l1_ratio
        learning_rate loss max_iter n_iter n_iter_no_change penalty power_t random_state
        shuffle tol validation_fraction verbose warm_start
    SVC: +break_ties +coef0 +decision_function_shape +degree +gamma +kernel +probability ~C
        ~cache_size ~shrinking ~tol class_weight max_iter random_state verbose
    SVR: +coef0 +degree +gamma +kernel ~C ~cache_size ~epsilon ~shrinking ~tol max_iter
        verbose
    SelectFdr: +alpha score_func
    SelectFpr: +alpha score_func
    SelectFromModel: +estimator +importance_getter +max_features +norm_order +prefit
        +threshold
    SelectFwe: +alpha score_func
    SelectKBest: +k score_func
    SelectPercentile: +percentile score_func
    SelfTrainingClassifier: +base_estimator +estimator criterion k_best max_iter threshold
        verbose
    SequentialFeatureSelector: +estimator cv direction n_features_to_select n_jobs scoring tol
    SimpleImputer: +add_indicator +fill_value +keep_empty_features +missing_values +strategy
        ~copy ~verbose
    SparseRandomProjection: +dense_output compute_inverse_components density eps n_components
        random_state
    SplineTransformer: +degree +extrapolation +handle_missing +include_bias +order
        +sparse_output knots n_knots
    StackingClassifier: +final_estimator +passthrough +stack_method cv estimators n_jobs
        verbose
    StackingRegressor: +final_estimator +passthrough cv estimators n_jobs verbose
    StandardScaler: +with_mean +with_std ~copy
    TargetEncoder: categories cv random_state shuffle smooth target_type
    TfidfTransformer: +norm +sublinear_tf +use_idf smooth_idf
    TfidfVectorizer: +analyzer +binary +dtype +input +lowercase +ngram_range +norm
        +preprocessor +smooth_idf +stop_words +strip_accents +sublinear_tf +token_pattern
        +tokenizer +use_idf +vocabulary ~decode_error ~encoding max_df max_features min_df
    TheilSenRegressor: copy_X fit_intercept max_iter max_subpopulation n_jobs n_subsamples
        random_state tol verbose
    TransformedTargetRegressor: +regressor +transformer check_inverse func inverse_func
    TruncatedSVD: algorithm n_components n_iter n_oversamples power_iteration_normalizer
        random_state tol
    TunedThresholdClassifierCV: +estimator +response_method cv n_jobs random_state refit
        +scoring store_cv_results thresholds
    TweedieRegressor: alpha fit_intercept link max_iter power solver tol verbose warm_start
    VarianceThreshold: +threshold
    VotingClassifier: +estimators +voting +weights ~flatten_transform n_jobs verbose
    VotingRegressor: +estimators +weights n_jobs verbose
    """
)
