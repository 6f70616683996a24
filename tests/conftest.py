"""What all tests share."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("lab", deadline=None)  # how long an example takes is the machine's business
settings.load_profile("lab")
