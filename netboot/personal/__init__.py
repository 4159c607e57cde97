"""What is a client's own: its settings, keys and files, which no image has and no other client may see.

The client fetches it as one archive while it boots (`archive`).  It is made of the program's templates and the
operator's files (`collect`, `layout`) and of ssh host keys that are made once (`hostkeys`).  `permission` says who may
have it, and `windows` when: while it boots, and not again.  `service` puts these together.  What a client writes and
keeps lies on its `volume`; `volumes` has all that are mounted.
"""
