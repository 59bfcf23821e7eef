"""cleanlab's label quality on given embeddings, by a Python that has cleanlab.

`label_suspects` runs it as `python -c`, with a file of `embeddings` and `labels`, and a file for
the scores of each way, higher for more suspicious labels. It imports nothing of this library.
"""

import warnings

import numpy as np

FOLDS = 5


def main(source, target):
    from cleanlab.rank import get_label_quality_scores
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.neighbors import KNeighborsClassifier

    warnings.simplefilter("ignore")  # classes of fewer items than folds
    with np.load(source) as arrays:
        embeddings, labels = arrays["embeddings"].astype("float64"), arrays["labels"]
    labels = np.unique(labels, return_inverse=True)[1]
    embeddings /= np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    classifiers = {
        "cleanlab, 10 neighbors": KNeighborsClassifier(10, metric="cosine", weights="distance"),
        "cleanlab, logistic regression": LogisticRegression(C=100, max_iter=200),
    }
    scores = {}
    for name, classifier in classifiers.items():
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
        probabilities = cross_val_predict(
            classifier, embeddings, labels, cv=folds, method="predict_proba"
        )
        scores[name] = -get_label_quality_scores(labels, probabilities)
    np.savez(target, **scores)
