"""Muybridge."""
