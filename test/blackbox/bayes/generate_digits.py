"""Writes digits.json: a network of 64-64-10 units trained on scikit-learn's digits, and 60 test images that it gets right."""

import json
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

data = load_digits()
train_x, test_x, train_y, test_y = train_test_split(data.data / 16, data.target, test_size=0.3, random_state=0)
net = MLPClassifier((64,), max_iter=300, random_state=0).fit(train_x, train_y)
right = np.flatnonzero(net.predict(test_x) == test_y)[:60]
print("accuracy", net.score(test_x, test_y))


def rounded(array):
    return [round(float(v), 4) for v in np.asarray(array).ravel()]


Path(__file__).with_name("digits.json").write_text(
    json.dumps(
        {
            "weights": [rounded(w) for w in net.coefs_],
            "biases": [rounded(b) for b in net.intercepts_],
            "images": [[int(round(v * 16)) for v in test_x[i]] for i in right],
            "labels": [int(test_y[i]) for i in right],
        },
        separators=(",", ":"),
    )
    + "\n"
)
