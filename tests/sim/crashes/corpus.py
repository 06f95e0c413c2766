"""Crash points that once broke something: always run."""

from __future__ import annotations

KNOWN = (
    # What came out of an exchange was in trash, and no journal knew of it: it stayed for ever.
    "pull_all_kinds:tree.rename_new:trash/WID#1:after:killed",
    "resolve_kept:tree.rename_new:trash/WID#1:after:killed",
    # A conflict copy had its place, and no conflict named it: an edit that was swapped out was
    # never shown, and theirs stayed for ever.
    "start_after_edit:tree.rename_new:.swampd/conflicts/data/top#1:after:killed",
    "pull_conflict:tree.rename_new:.swampd/conflicts/data/y/raw#1:after:killed",
    "resolve_kept:tree.unlink:.swampd/conflicts/data/top#1:before:killed",
    # A file that was put aside step by step, where the name was taken again meanwhile.
    "pull_in_steps_into_edits:journal.commit:Bases.change.both#6:after:killed",
    # An edit that a decision on kept bytes swapped out was in tmp, without an intent: dropped.
    "resolve_kept_into_edit:tree.exchange:data/top#1:after:killed",
    "resolve_kept_in_steps_into_edit:tree.link:data/top#1:after:killed",
    # A conflict copy whose name was on the disk before its bytes were.
    "pull_into_edits:tree.rename_new:.swampd/conflicts/data/top#1:after:power_names",
)
