"""Images: how a version is built from its recipe, what it says about itself, and where it lies.

A version appears whole or not at all, and never changes afterwards.
"""
