"""What holds for every test."""

import os

from hypothesis import settings

# A busy machine is slow, not wrong: no deadline. In CI the same examples each time, so that a
# change is judged by itself; new examples are found wherever else the tests run.
settings.register_profile("project", deadline=None, derandomize=os.environ.get("CI") == "true")
settings.load_profile("project")
