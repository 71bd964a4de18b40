"""Frames and messages of wire protocol 10."""
