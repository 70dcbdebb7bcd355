"""Each public class of scikit-learn that predicts, and a model of it."""

from sklearn.utils import all_estimators
from zoo import fitted

CLASSES = dict(all_estimators())


def fitted_model(name):
    return fitted(name, CLASSES[name])
