"""What is in a log, before anything is trained: rows, columns, faults, suspicions, bytes of its tables."""
