"""The local tree: safe opens, scan, reading, place-by-rename, the marker.

`tree.LocalTree` is the adapter of `ports.FileTree`; the other modules hold one idea each and know
nothing of the engine.
"""
