"""The lab: from a patch series to a verdict."""
