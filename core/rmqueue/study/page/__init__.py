"""A study as one HTML file (``rmqueue report``)."""
