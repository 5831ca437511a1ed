"""Which of the known names was meant?"""

import difflib
from collections.abc import Iterable


def hint(given: object, known: Iterable[str]) -> str:
    """Returns a question that names the nearest of what is known, as ", did you mean 'seed'?", or nothing.

    The last part of a dotted name counts for itself: who forgets the first parts means the whole.
    """
    name, names = str(given), sorted(known)
    alike = [other for other in names if other.rpartition(".")[2] == name.rpartition(".")[2]]
    nearest = alike[:1] or difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f", did you mean '{nearest[0]}'?" if nearest else ""
