"""Functions that two methods need. Methods never import each other."""
