"""Models with objects of pandas, as skops saves them. skops loads no file of these.

python train.py NAME..., with an interpreter and releases such as these:

index     3.10  skops==0.4.0 category-encoders==2.5.1.post0 scikit-learn==1.2.0 pandas==1.5.2
binary    3.10  skops==0.11.0 category-encoders==2.5.1.post0 scikit-learn==1.1.3 pandas==1.5.3
series    3.10  skops==0.11.0 scikit-learn==1.1.3 pandas==1.5.3
formula   3.12  skops==0.11.0 statsmodels==0.14.4 pandas==2.2.3
"""

import sys
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pandas as pd
import skops.io

HERE = Path(__file__).parent
FRAME = pd.DataFrame({"age": [20.0, 30, 40, 50, 60, 70], "city": ["Basel", "Bern", "Genf"] * 2})
TARGET = [0, 1, 0, 1, 1, 0]


def index():
    from category_encoders import TargetEncoder
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return make_pipeline(TargetEncoder(cols=["city"]), LogisticRegression()).fit(FRAME, TARGET)


def binary():
    from category_encoders import BinaryEncoder
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return make_pipeline(BinaryEncoder(cols=["city"]), LogisticRegression()).fit(FRAME, TARGET)


def series():
    from sklearn.naive_bayes import GaussianNB

    model = GaussianNB().fit(FRAME[["age"]], TARGET)
    model.cities = FRAME["city"]
    model.kinds = pd.Categorical(FRAME["city"])
    return model


def formula():
    from statsmodels.formula.api import ols

    return ols("target ~ age + C(city)", FRAME.assign(target=TARGET)).fit()


def compress(path):
    with ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for member in members:
            archive.writestr(*member)


for name in sys.argv[1:]:
    path = HERE / f"{name}-pandas-{pd.__version__}.skops"
    skops.io.dump(globals()[name](), path)
    compress(path)
