"""What tests of programs share."""

import pytest

from tessella.compiler import eager, observe


@pytest.fixture
def programs():
    """The programs that are made."""
    found = []

    class Witness(observe.Observer):
        def compiled(self, program):
            found.append(program)

    eager.forget()
    before = observe.settings.witnesses
    observe.settings.set(witnesses=(*before, Witness()))
    yield found
    observe.settings.set(witnesses=before)
    eager.forget()
