"""`make bench`: every benchmark, in tables. Ratios count; the machine's own speed does not."""

import runpy
import sys

BENCHMARKS = {
    "bench.startup": [],
    "bench.verdict": ["--scale", "0.1", "--engine", "backendctl", "--schedule", "native"],
    "bench.loadtest": [],
}


def main() -> None:
    for module, arguments in BENCHMARKS.items():
        print(f"\n== {module} {' '.join(arguments)}".rstrip(), flush=True)
        sys.argv = [module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
