"""scikit-learn's multi-layer perceptrons, trained by compiled steps: an extra, `pip install graphc[sklearn]`.

`import graphc` does not import it: say `from graphc.sklearn import MLPClassifier`.
"""

try:
    import sklearn as _sklearn  # noqa: F401
except ImportError:
    raise ImportError("graphc.sklearn builds on scikit-learn, which is missing: pip install scikit-learn") from None

from graphc.sklearn.classifier import MLPClassifier as MLPClassifier
from graphc.sklearn.regressor import MLPRegressor as MLPRegressor
