"""Writes golden.json: reference values for the Gaussian process (scikit-learn, NumPy) and for log EI (mpmath).

pip install scikit-learn mpmath && python test/blackbox/bayes/golden.py
"""
import json
from pathlib import Path

import mpmath as mp
import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern

mp.mp.dps = 80


def log_h(z):
    z = mp.mpf(z)
    return mp.log(mp.npdf(z) + z * mp.ncdf(z))


def ratio(z):
    z = mp.mpf(z)
    return mp.ncdf(z) / (mp.npdf(z) + z * mp.ncdf(z))


zs = [-1e6, -1e4, -1e3, -300.5, -100, -40, -38, -20, -10, -5, -3, -2, -1.5, -1.0000001, -1, -0.9999999, -0.5, -1e-8, 0,
      1e-8, 0.3, 1, 1.9, 2, 2.1, 3, 5, 8, 10]
improvement = [
    {"z": z, "logH": float(log_h(z)), "ratio": float(ratio(z)), "cdf": float(mp.ncdf(mp.mpf(z)))} for z in zs
]

rng = np.random.default_rng(7)
n, d = 12, 3
x = rng.uniform(size=(n, d))
y = np.sin(5 * x[:, 0]) + x[:, 1] ** 2 - 0.5 * x[:, 2] + 0.05 * rng.normal(size=n)
q = rng.uniform(size=(6, d))
lengths, variance, noise = np.array([0.4, 0.9, 2.5]), 1.7, 1e-3
told = np.where(np.arange(n) % 3 == 0, 0.02, 0.0)
kernel = ConstantKernel(variance, "fixed") * Matern(lengths, "fixed", nu=2.5)
covariance = kernel(x) + np.diag(noise + told)
ones = np.ones(n)
mean = ones @ np.linalg.solve(covariance, y) / (ones @ np.linalg.solve(covariance, ones))
regressor = GaussianProcessRegressor(kernel, alpha=noise + told, optimizer=None).fit(x, y - mean)
mu, deviation = regressor.predict(q, return_std=True)
golden = {
    "improvement": improvement,
    "process": {
        "x": x.tolist(), "y": y.tolist(), "q": q.tolist(), "told": told.tolist(),
        "lengths": lengths.tolist(), "variance": variance, "noise": noise,
        "constant": mean, "mean": (mu + mean).tolist(), "deviation": deviation.tolist(),
        "logLikelihood": regressor.log_marginal_likelihood_value_,
    },
}
Path(__file__).with_name("golden.json").write_text(json.dumps(golden, indent=1) + "\n")
