"""The media lab: real servers, exact publishers and independent judges for everreel's tests.

Nothing here imports everreel: what judges the recorder must not share its code.
"""
