"""Cumulet: the serverless core of AWS as one Python program."""

__version__ = "0.1.0"
