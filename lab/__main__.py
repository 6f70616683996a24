"""`python -m lab`: what ./inv starts."""

import tasks
from lab.cli import main

main(tasks)
