"""Trees on their way: read from folders and archives, checked, and written to folders and archives.

Between the two stands one kind of value, the `Entry`.  `entry`, `headers` and `layers` are pure.
"""
