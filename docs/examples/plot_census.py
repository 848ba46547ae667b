"""
A table of people, as it comes
==============================

Ages, wages, jobs, schools, yes and no, and one value in twenty is missing. The detector takes the
table as it is. Each value of three people is ordinary by itself, but not beside their others.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sktae import DenoisingAutoencoder

rng = np.random.default_rng(0)
n = 3000
age = rng.integers(16, 90, n)
school = np.digitize(rng.normal(size=n) + (age > 25), [0, 1, 2])
job = np.select([age < 20, age > 66], [0, 5], rng.integers(1, 3, n) + np.minimum(school, 2))
wage = np.array([3, 14, 18, 25, 40, 16])[job] * np.exp(0.15 * rng.normal(size=n))
people = pd.DataFrame(
    {
        "age": age,
        "school": pd.Categorical.from_codes(school, ["none", "basic", "college", "doctorate"]),
        "job": np.array(["pupil", "farmer", "driver", "nurse", "doctor", "retired"])[job],
        "wage": wage.round(1),
        "married": rng.random(n) < np.clip((age - 18) / 20, 0, 0.8),
    }
)
people = people.mask(rng.random(people.shape) < 0.05)
people = people[people.notna().any(axis="columns")]

odd = pd.DataFrame(
    {
        "age": [17, 45, 81],
        "school": pd.Categorical(["basic", "none", None], people["school"].cat.categories),
        "job": ["retired", "doctor", "pupil"],
        "wage": [16.0, 41.0, None],
        "married": [False, True, True],
    },
)

model = DenoisingAutoencoder(training_data="clean", random_state=0).fit(people)
scores, reasons = model.score_samples(odd), model.explain(odd)
print(odd.assign(outlier=model.predict(odd) == -1, score=scores.round(1)).to_string())

# %%
# Missing values, shown as a dash, have no part in a score. `explain` speaks of the columns of the
# table, whether they hold numbers or categories.

figure, panels = plt.subplots(1, 3, figsize=(13, 3.4), layout="constrained")
for row, axes in enumerate(panels):
    values = odd.loc[row].astype(object).where(odd.loc[row].notna(), "–")
    labels = [f"{name}: {value}" for name, value in values.items()][::-1]
    axes.barh(labels, reasons.loc[row][::-1], color="#0072B2")
    axes.set_title(f"score {scores[row]:.0f}, threshold {model.offset_:.0f}", fontsize=11)
    axes.set_xlabel("contribution")
    axes.spines[["top", "right"]].set_visible(False)
plt.show()
