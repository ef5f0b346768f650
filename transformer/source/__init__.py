"""What AWS wrote: find an export, check its manifests, stream its data files as blocks of whole lines.

`export.find_export` turns a URL into an `Export`; `blocks.open_blocks` streams one of its files. Nothing is re-exported
here, so that importing the package costs nothing.
"""
