"""The models of other libraries, as far as the environment has them."""

import importlib

import numpy as np

import estimators
import samples as s


def makers():
    """name -> function, of every model of the libraries that are installed."""
    from sklearn.base import BaseEstimator

    found = {}
    for library in ("imblearn", "category_encoders"):
        if _is_installed(library):
            package = importlib.import_module(library)
            library_makers = estimators.makers(package, BaseEstimator)
            found.update({f"{library}-{name}": make for name, make in library_makers.items()})
    for name, make in list(globals().items()):
        if name.startswith("library_") and _is_installed(name.split("_")[1]):
            found["library-" + name[8:]] = make
    return found


def _is_installed(library):
    try:
        importlib.import_module(library)
    except ImportError:
        return False
    return True


def _numbers():
    """Targets that every regressor of the libraries takes: above zero."""
    return np.abs(s.NUMBERS)


def library_xgboost_estimators():
    import xgboost as x

    small = {"n_estimators": 2, "n_jobs": 1}
    ranks = x.XGBRanker(**small).fit(s.X, s.BINARY, qid=np.repeat([0, 1], s.ROWS // 2))
    classifiers = [kind(**small).fit(s.X, target) for kind in (x.XGBClassifier, x.XGBRFClassifier)
                   for target in (s.BINARY, np.arange(s.ROWS) % 3)]  # fmt: skip
    regressors = [kind(**small).fit(s.X, s.NUMBERS) for kind in (x.XGBRegressor, x.XGBRFRegressor)]
    return [ranks, *classifiers, *regressors, classifiers[0].get_booster()]


def library_xgboost_parameters():
    import xgboost as x

    watched = x.XGBClassifier(n_estimators=3, early_stopping_rounds=2, eval_metric="logloss")
    linear = x.XGBRegressor(n_estimators=2, booster="gblinear", random_state=0)
    return [watched.fit(s.X, s.BINARY, eval_set=[(s.X, s.BINARY)], verbose=False),
            linear.fit(s.X, s.NUMBERS), x.XGBClassifier(),
            x.XGBRegressor(n_estimators=2, booster="dart", missing=np.nan).fit(s.X, s.NUMBERS),
            x.XGBClassifier(n_estimators=2, enable_categorical=True, tree_method="hist")
            .fit(s.frame()[["size", "kind"]], s.BINARY)]  # fmt: skip


def library_lightgbm_estimators():
    import lightgbm as l

    small = {"n_estimators": 2, "n_jobs": 1, "verbose": -1, "min_child_samples": 2}
    ranks = l.LGBMRanker(**small).fit(s.X, s.BINARY, group=[s.ROWS // 2] * 2)
    found = [l.LGBMClassifier(**small).fit(s.X, target) for target in (s.BINARY, s.LABELS)]
    named = l.LGBMClassifier(**small).fit(s.frame()[["size", "kind"]], s.BINARY)
    return [ranks, *found, named, l.LGBMRegressor(**small).fit(s.X, s.NUMBERS), found[0].booster_,
            l.LGBMClassifier()]  # fmt: skip


def library_catboost_estimators():
    import catboost as c

    small = {"iterations": 2, "verbose": 0, "allow_writing_files": False, "thread_count": 1}
    pool = c.Pool(s.X, s.NUMBERS, group_id=np.repeat([0, 1], s.ROWS // 2))
    found = [c.CatBoostClassifier(**small).fit(s.X, target) for target in (s.BINARY, s.LABELS)]
    named = c.CatBoostClassifier(cat_features=["colour"], **small)
    return [*found, c.CatBoostRegressor(**small).fit(s.X, s.NUMBERS),
            c.CatBoostRanker(**small).fit(pool), c.CatBoost(small).fit(s.X, s.NUMBERS),
            named.fit(s.frame()[["size", "colour"]], s.BINARY)]  # fmt: skip


def library_imblearn_pipelines():
    from imblearn.ensemble import BalancedRandomForestClassifier
    from imblearn.over_sampling import SMOTE, SMOTENC, RandomOverSampler
    from imblearn.pipeline import make_pipeline
    from imblearn.under_sampling import RandomUnderSampler
    from sklearn.linear_model import LogisticRegression

    samplers = (
        SMOTE(k_neighbors=2),
        SMOTENC([0], k_neighbors=2),
        RandomOverSampler(),
        RandomUnderSampler(),
    )
    found = [
        make_pipeline(sampler, LogisticRegression()).fit(s.X, s.BINARY) for sampler in samplers
    ]
    return [*found, BalancedRandomForestClassifier(2).fit(s.X, s.BINARY)]


def library_category_encoders_of_frames():
    import category_encoders as c

    frame = s.frame()[["size", "colour"]]
    kinds = [getattr(c, name) for name in dir(c) if name.endswith("Encoder")]
    return [kind().fit(frame, s.BINARY) for kind in kinds]


def library_hmmlearn_models():
    from hmmlearn import hmm

    found = [hmm.GaussianHMM(2, covariance_type=kind) for kind in ("diag", "full", "tied")]
    counted = [hmm.CategoricalHMM(2).fit(s.LEVELS[:, :1]), hmm.MultinomialHMM(2, n_trials=2).fit(
        np.c_[s.LEVELS[:, 0], 2 - s.LEVELS[:, 0]])]  # fmt: skip
    return [model.fit(s.X) for model in [*found, hmm.GMMHMM(2)]] + counted


def library_hmmlearn_models_of_today():
    from hmmlearn import hmm, vhmm

    kinds = (hmm.PoissonHMM, vhmm.VariationalCategoricalHMM)
    found = [kind(2).fit(s.LEVELS[:, :1]) for kind in kinds]
    return [*found, vhmm.VariationalGaussianHMM(2).fit(s.X)]


def library_statsmodels_arrays():
    import statsmodels.api as sm

    rows = sm.add_constant(s.X)
    linear = [kind(s.NUMBERS, rows).fit() for kind in (sm.OLS, sm.WLS, sm.GLS, sm.RLM)]
    others = [
        sm.Logit(s.BINARY, rows).fit_regularized(disp=0),
        sm.Poisson(s.BINARY, rows).fit(disp=0),
        sm.QuantReg(s.NUMBERS, rows).fit(),
    ]
    return [*linear, *others, sm.Logit(s.BINARY, rows).fit(disp=0)]


def library_statsmodels_families():
    import statsmodels.api as sm

    families = [sm.families.Gaussian(), sm.families.Gamma(sm.families.links.Log()),
                sm.families.Poisson(), sm.families.NegativeBinomial(),
                sm.families.Tweedie(var_power=1.5)]  # fmt: skip
    found = [sm.GLM(_numbers(), s.X, family=family).fit() for family in families]
    constant_families = [sm.families.Gamma(), sm.families.InverseGaussian()]
    constant = np.ones((s.ROWS, 1))
    found += [sm.GLM(_numbers() + 1, constant, family=family).fit() for family in constant_families]
    return [*found, sm.GLM(s.BINARY, s.X, family=sm.families.Binomial()).fit()]


def library_statsmodels_links():
    import statsmodels.api as sm

    links, constant = sm.families.links, np.ones((s.ROWS, 1))
    kinds = {
        sm.families.Binomial: ("Probit", "probit", "CLogLog", "Cauchy", "cauchy", "LogLog"),
        sm.families.Gamma: ("InversePower", "inverse_power", "Identity", "identity"),
        sm.families.InverseGaussian: ("InverseSquared", "inverse_squared"),
        sm.families.NegativeBinomial: ("NegativeBinomial",),
        sm.families.Poisson: ("Sqrt", "sqrt"),
    }
    return [
        sm.GLM(s.BINARY if kind is sm.families.Binomial else _numbers() + 1, constant,
               family=kind(link=getattr(links, name)())).fit()
        for kind, names in kinds.items() for name in names if hasattr(links, name)
    ]  # fmt: skip


def library_statsmodels_discrete():
    import statsmodels.api as sm
    from statsmodels.discrete import discrete_model as discrete

    rows, counts = sm.add_constant(s.X[:, :1]), np.arange(s.ROWS) % 4
    kinds = (discrete.NegativeBinomial, discrete.NegativeBinomialP, discrete.GeneralizedPoisson)
    found = [kind(counts, rows).fit(disp=0) for kind in kinds]
    penalized = (discrete.MNLogit, discrete.Poisson, discrete.NegativeBinomial)
    found += [kind(counts, rows).fit_regularized(disp=0) for kind in penalized]
    return [*found, sm.MNLogit(counts, rows).fit(disp=0), sm.Probit(s.BINARY, rows).fit(disp=0)]


def library_statsmodels_groups():
    import statsmodels.api as sm

    rows, groups = sm.add_constant(s.X[:, :1]), np.arange(s.ROWS) % 5
    kinds = (sm.cov_struct.Independence(), sm.cov_struct.Exchangeable())
    found = [sm.GEE(s.NUMBERS, rows, groups, cov_struct=kind).fit() for kind in kinds]
    return [*found, sm.MixedLM(s.NUMBERS, rows, groups=groups).fit()]


def library_statsmodels_constrained():
    import statsmodels.api as sm

    rows = sm.add_constant(s.X)
    model = sm.GLM(_numbers(), rows, family=sm.families.Gaussian())
    return [sm.GLSAR(s.NUMBERS, rows).fit(), model.fit_constrained("x1 = 0"),
            sm.OLS(s.NUMBERS, rows).fit_regularized()]  # fmt: skip


def library_statsmodels_formulas():
    import statsmodels.api as sm
    import statsmodels.formula.api as smf

    frame = s.frame()[["size", "colour"]].assign(target=s.NUMBERS, count=np.arange(s.ROWS) % 4.0)
    linear = smf.ols("target ~ size + I(size ** 2) + C(colour)", frame).fit()
    return [linear, smf.poisson("count ~ size", frame).fit(disp=0),
            smf.glm("count ~ size", frame, family=sm.families.Poisson()).fit()]  # fmt: skip


def library_statsmodels_frames():
    import statsmodels.api as sm

    frame = s.frame()[["size"]]
    target = frame["size"] * 2 + s.X[:, 1]
    found = sm.OLS(target, sm.add_constant(frame)).fit()
    return [found, found.model]
