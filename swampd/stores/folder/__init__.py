"""What the directory store is made of.

A key is a file at its place (`paths`).  A *side file* (`sides`) says which token and metadata the
file has, and which write is in flight; the file's own size and mtime decide which of the two is
true.  `reading` and `listing` take no lock; `writing` changes a store under one `flock` (`lock`)
by the system calls of `calls`, in an order that a process may die in anywhere.
"""
