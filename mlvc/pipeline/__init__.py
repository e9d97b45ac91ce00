"""Stages: what they need and make, when they must run, and running them."""
