"""The whole idea on the bundled digits, real handwriting, in one run: `ncapps quickstart`."""

from ncapps.quickstart.data import DigitsTask as DigitsTask
from ncapps.quickstart.data import digits_task as digits_task
from ncapps.quickstart.results import summary as summary
from ncapps.quickstart.results import write_results as write_results
from ncapps.quickstart.run import Quickstart as Quickstart
from ncapps.quickstart.run import run_quickstart as run_quickstart
from ncapps.quickstart.settings import digits_settings as digits_settings
