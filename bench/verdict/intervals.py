"""Wilson's interval of a proportion."""

import math


def wilson(hits: int, runs: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval; the whole of 0..1 without runs."""
    if runs == 0:
        return 0.0, 1.0
    p, n = hits / runs, float(runs)
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)
