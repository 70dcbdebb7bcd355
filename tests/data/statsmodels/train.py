"""Trains these models with statsmodels 0.9.0 (Python 3.7, pandas 0.25), 0.12.2 (3.8, pandas
1.2), 0.13.5 (3.11, pandas 1.5) and 0.14.4 (3.11, pandas 2.2). Those with a protocol in their name
are of `train.py 1`.
"""

import pickle
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import statsmodels
import statsmodels.formula.api as smf

frame = pd.DataFrame(
    {
        "size": np.arange(8) + 1.0,
        "colour": list("abcaabca"),
        "price": [3.0, 5, 4, 8, 9, 11, 12, 10],
    }
)
results = smf.ols("price ~ np.log(size) + C(colour)", frame).fit()
name, protocol = f"ols-{statsmodels.__version__}", 4
if sys.argv[1:]:
    protocol = int(sys.argv[1])
    name += f"-protocol-{protocol}"
Path(__file__).with_name(f"{name}.pkl").write_bytes(pickle.dumps(results, protocol))
