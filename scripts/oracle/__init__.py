"""The parts of `run_oracle.py`: models, mutations, and the processes that load what passes."""
