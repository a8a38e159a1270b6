"""Times as the pages write them: 24 hours. Django puts the Korean word for p.m. behind the hour."""

DATETIME_FORMAT = "Y년 n월 j일 H:i"
