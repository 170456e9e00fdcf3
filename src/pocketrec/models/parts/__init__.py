"""Pieces that two models need."""
