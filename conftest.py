"""What pytest leaves out."""

from importlib.util import find_spec

# Unlike aeon and sktime, darts is not installed for the tests, since it brings 20 other packages.
collect_ignore = [] if find_spec("darts") else ["sktae/timeseries/darts_adapter.py"]
