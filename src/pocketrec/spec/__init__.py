"""Nouns: frozen value objects without tensors and without torch. Everyone may import them."""
