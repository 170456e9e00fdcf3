"""One measure per file; the file's name is the measure's name. Each file offers ``METRIC``, a :class:`Metric`."""
