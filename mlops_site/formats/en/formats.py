"""Times as the pages write them: 24 hours."""

DATETIME_FORMAT = "M j, Y, H:i"
