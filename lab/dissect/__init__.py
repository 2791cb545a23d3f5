"""Bytes in, facts out: frames become fields, segments, conversations and byte streams that remember their frames.

Pure: nothing here opens a file or a socket, and damage in the bytes is a fact, never an exception.
"""
