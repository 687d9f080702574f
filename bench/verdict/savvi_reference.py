"""Write tests/unit/verdict/savvi.json: Bayes factors by savvi, an independent implementation.

savvi (0.3.1) brings convex solvers of 400 MB with it, so it is no dependency of the tests; its
answers are recorded instead. Run in an environment that has it:

    python bench/verdict/savvi_reference.py > tests/unit/verdict/savvi.json
"""

import json

import numpy as np
from savvi.multinomial import Multinomial

CASES = (
    (0.05, 40.0, ((3, 10), (0, 12), (5, 9))),
    (0.1, 100.0, ((0, 4), (1, 6), (0, 0), (2, 11))),
    (0.25, 20.0, ((9, 8), (12, 14))),
    (0.5, 100.0, ((30, 12), (22, 25), (41, 20))),
    (0.01, 50.0, ((2, 118), (0, 97), (6, 240))),
)


def main() -> None:
    answers = []
    for share, concentration, blocks in CASES:
        judge = Multinomial(0.01, np.array([share, 1.0 - share]), concentration)
        odds = []
        for block in blocks:
            judge.update(np.array(block))
            odds.append(float(np.log(judge.odds)))
        answers.append(
            {"share": share, "concentration": concentration, "blocks": blocks, "log_odds": odds}
        )
    print(json.dumps(answers, indent=1))


if __name__ == "__main__":
    main()
