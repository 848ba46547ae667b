"""
A map of digits, with the way back
==================================

``NeighborAutoencoder`` places like digits side by side, and the decoder draws what lies at any
place. So a walk on the map is a walk through digits: on the right, from one digit to another in
straight steps, and how the digit changes on the way.

The title says how well the map sorts digits that the model has not seen, by the five nearest
training digits, and how much of their variance comes back from two numbers. No model has seen a
label.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from sktae import NeighborAutoencoder
from sktae.plot import MapDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model = NeighborAutoencoder(standardize="shared", calibration=None, random_state=0).fit(X_train)
codes = model.transform(X_test)
near = KNeighborsClassifier(5).fit(model.transform(X_train), y_train)

figure = plt.figure(figsize=(11, 7), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=(3, 1))
axes = left.subplots()
MapDisplay.from_estimator(model, X_test, y_test, decoded=(8, 8), ax=axes, s=16)
sorted_right, explained = near.score(codes, y_test), model.score(X_test)
axes.set_title(f"new digits: {sorted_right:.0%} sorted right, {explained:.0%} explained")

walks = [(0, 6), (1, 7), (3, 5), (9, 4)]
for column, (first, last) in enumerate(walks):
    start, end = (np.median(codes[y_test == digit], axis=0) for digit in (first, last))
    steps = np.linspace(start, end, 9)
    axes.plot(*steps.T, color="black", linewidth=1)
    for row, image in enumerate(model.inverse_transform(steps).reshape(-1, 8, 8)):
        small = right.add_subplot(len(steps), len(walks), row * len(walks) + column + 1)
        small.imshow(image, cmap="gray_r")
        small.set_axis_off()
right.suptitle("walks from digit to digit")
plt.show()
