"""Write tests/unit/verdict/confseq.json: capital of fixed bets by confseq, the implementation of
Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting" (2024).

A likelihood ratio of Bernoulli(q) against Bernoulli(m) is the capital of one who bets
(q - m) / (m (1 - m)) on each observation: the absolute test with m its limit, and the relative test
on the arms of events with m the candidate's share. confseq (0.0.11) must be compiled with Boost, so
it is no dependency of the tests; its answers are recorded. In an environment that has it:

    python bench/verdict/confseq_reference.py > tests/unit/verdict/confseq.json
"""

import json

import numpy as np
from confseq.betting import betting_mart

CASES = (
    (0.01, 0.02, "0000100000000001000000000000010000"),
    (0.01, 0.004, "000000000000000000000000000000000000000000000000000001000000000"),
    (0.05, 0.45, "00100000100000000010"),
    (0.1, 0.1818181818, "0100000000010001000000"),
    (0.25, 0.9302325581, "1101110111"),
    (0.5, 0.0476190476, "0000001000"),
)


def main() -> None:
    answers = []
    for null, other, seen in CASES:
        x = np.array([float(each) for each in seen])
        bet = (other - null) / (null * (1.0 - null))
        capital = betting_mart(
            x,
            null,
            lambdas_fn_positive=lambda x, _, bet=bet: np.full(len(x), bet),
            theta=1,
            trunc_scale=1,
            convex_comb=True,
        )
        answers.append(
            {"null": null, "other": other, "seen": seen, "log": np.log(capital).tolist()}
        )
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
