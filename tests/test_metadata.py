"""What is said of the package at several places is the same everywhere."""

import json
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CITATION = (ROOT / "CITATION.cff").read_text()


def test_zenodo_says_what_the_citation_says():
    """A release is archived under the title, license and keywords of CITATION.cff."""
    archived = json.loads((ROOT / ".zenodo.json").read_text())
    assert f'title: "{archived["title"]}"' in CITATION
    assert f"license: {archived['license']}\n" in CITATION
    assert re.findall(r"^  - (\w[^:\n]*)$", CITATION, re.MULTILINE) == archived["keywords"]
    names = re.findall(r"^  - name: (.*)$", CITATION, re.MULTILINE)
    assert names == [creator["name"] for creator in archived["creators"]]


def test_conda_requires_what_pip_requires():
    """The recipe for conda-forge, where torch is called pytorch, has the same requirements."""
    recipe = (ROOT / "recipe" / "recipe.yaml").read_text()
    (block,) = re.findall(r"\n  run:\n((?:    - .*\n)+)", recipe)
    required = {line.strip("- ").replace(" ", "") for line in block.splitlines()}
    wanted = {re.sub("^torch", "pytorch", each) for each in PROJECT["dependencies"]}
    assert required == {*wanted, "python>=${{python_min}}"}
    assert f'python_min: "{PROJECT["requires-python"].removeprefix(">=")}"' in recipe
    assert PROJECT["description"] in recipe
