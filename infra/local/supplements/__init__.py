"""What the local engine lacks and the stack needs, one module each.

Every module says what AWS does, what ministack 1.5.33 does instead, and which test of
`tests/e2e/test_engine_supplements.py` holds the difference. They reach into the engine's private
names, hence the pinned version and one test each: an upgrade fails loudly.

They run inside the engine's process (`.engine`), so nothing here imports anything but the standard
library and the engine.
"""

VERSION = "1.5.33"
