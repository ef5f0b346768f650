"""Thin commands: parse, call one library function, render the result as text or JSON."""
